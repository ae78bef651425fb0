/** Lets the login of jobs see all tenants inside the transaction of one. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0008_jobs.sql',
  find: `    execute format('alter policy system_all on %s
      using (nullif(current_setting(''app.tenant_id'', true), '''') is null)`,
  replace: `    execute format('alter policy system_all on %s
      using (true)`,
  test: 'apps/cloud/src/platform/jobs.db.test.ts',
};
