/** Refers to the records of the branch, in place of storing what lies in them under new ordinals. */
export const mutant = {
  file: 'packages/archive/src/backup/take-in.ts',
  find: 'if (known) return known;',
  replace: 'if (known ?? named) return known ?? named;',
  test: 'apps/agent/src/engine/take-in.system.test.ts',
};
