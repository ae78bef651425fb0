/** Lets the owner of a table past row security. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0001_tenancy.sql',
  find: 'alter table %s force row level security',
  replace: 'alter table %s enable row level security',
  test: 'apps/cloud/src/rls.db.test.ts',
};
