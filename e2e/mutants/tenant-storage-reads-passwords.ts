/** Grants storage every column of users. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0003_identity.sql',
  find: 'grant select (tenant_id, user_id, org_id, active, blocked) on users to hf_storage, hf_ingest;',
  replace: 'grant select on users to hf_storage, hf_ingest;',
  test: 'apps/cloud/src/rls.db.test.ts',
};
