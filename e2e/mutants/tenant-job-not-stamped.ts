/** Leaves a job with the tenant that whoever added it claims. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0008_jobs.sql',
  find: '    new.group_id := tenant;',
  replace: '    new.group_id := coalesce(new.group_id, tenant);',
  test: 'apps/cloud/src/platform/jobs.db.test.ts',
};
