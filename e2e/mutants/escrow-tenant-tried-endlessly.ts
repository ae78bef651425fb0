/** Tries as many new slots of a tenant as there are. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-new-slots.ts',
  find: 'if (slots.length > room) break;',
  replace: '',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
