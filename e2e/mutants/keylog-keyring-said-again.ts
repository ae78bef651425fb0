/** Says a keyring in the key log again whenever it comes again. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: 'if exists (select from key_log_subjects',
  replace: 'if false and exists (select from key_log_subjects',
  test: 'apps/cloud/src/modules/keylog/storage-role.db.test.ts',
};
