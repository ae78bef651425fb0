/** Looks for bytes only where one move leads, and not where what was cut short has stored them since. */
export const mutant = {
  file: 'packages/archive/src/backup/store-again.ts',
  find: 'if (nameOf(next) === nameOf(at)) break;',
  replace: 'if (next) break;',
  test: 'apps/agent/src/engine/store-again.system.test.ts',
};
