/** Lets another login read the keystore's tables. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0012_keystore.sql',
  find: 'grant usage on schema keystore to hf_keystore;',
  replace:
    'grant usage on schema keystore to hf_keystore, hf_system; alter default privileges in schema keystore grant select on tables to hf_system;',
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
