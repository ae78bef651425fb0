/** Gives a table a key that does not begin with the tenant. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0003_identity.sql',
  find: 'primary key (tenant_id, device_id),',
  replace: 'primary key (device_id, tenant_id),',
  test: 'apps/cloud/src/rls.db.test.ts',
};
