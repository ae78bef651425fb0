/** Begins a run anew that was cut off. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-slots.ts',
  find: 'if (newest && newest.finishedAt === null) return newest;',
  replace: '',
  test: 'apps/cloud/src/modules/escrow/try-slots.db.test.ts',
};
