/** Lets the keystore's login into the tables of the others. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0012_keystore.sql',
  find: 'grant select on escrow_keys to hf_api;',
  replace: 'grant select on escrow_keys to hf_api, hf_keystore; grant usage on schema public to hf_keystore;',
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
