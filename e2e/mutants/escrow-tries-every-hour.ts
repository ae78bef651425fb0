/** Tries all slots whenever it looks. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-slots.ts',
  find: 'if (newest && now < newest.begunAt.getTime() + EVERY_MS) return undefined;',
  replace: '',
  test: 'apps/cloud/src/modules/escrow/try-slots.db.test.ts',
};
