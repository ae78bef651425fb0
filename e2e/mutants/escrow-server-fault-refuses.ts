/** Refuses commits for what the server itself has lost. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/standings.ts',
  find: 'isRefused: refused !== undefined',
  replace: 'isRefused: true',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
