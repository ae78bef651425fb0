/** Hashes leaves as inner nodes are hashed. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: "bytea := sha256('\\x00'::bytea",
  replace: "bytea := sha256('\\x01'::bytea",
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
