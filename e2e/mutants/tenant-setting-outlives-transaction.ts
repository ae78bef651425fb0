/** Leaves the tenant set on a pooled connection. */
export const mutant = {
  file: 'apps/cloud/src/platform/postgres.ts',
  find: "set_config('app.tenant_id', ${tenantId}, true)",
  replace: "set_config('app.tenant_id', ${tenantId}, false)",
  test: 'apps/cloud/src/platform/postgres.db.test.ts',
};
