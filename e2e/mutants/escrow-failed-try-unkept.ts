/** Forgets that a try has failed. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/standings-store.ts',
  find: '...(isRefused && { refused_code: code }),',
  replace: '',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
