/** Lets commits in again for whatever keyring comes next. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/standings-store.ts',
  find: 'excluded.keyring_sha256, outcome = null,',
  replace: 'excluded.keyring_sha256, outcome = null, refused_code = null,',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
