/** Lets rows of another tenant be written. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0001_tenancy.sql',
  find: `    with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);`,
  replace: `    with check (true)', t);`,
  test: 'apps/cloud/src/rls.db.test.ts',
};
