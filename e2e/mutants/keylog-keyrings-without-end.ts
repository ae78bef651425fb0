/** Lets an archive fill the log of its tenant with keyrings. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: "    return 'too_many';",
  replace: '    null;',
  test: 'apps/cloud/src/modules/keylog/storage-role.db.test.ts',
};
