/** Leaves of the key log are not isolated by tenant. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: "select isolate_by_tenant('key_log_leaves');",
  replace: 'select 1;',
  test: 'apps/cloud/src/rls.db.test.ts',
};
