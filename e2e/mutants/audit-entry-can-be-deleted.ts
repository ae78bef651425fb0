/** Lets the api remove entries. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0002_audit.sql',
  find: 'grant select, insert on audit_entries to hf_api, hf_system, hf_storage, hf_ingest;',
  replace: 'grant select, insert, delete on audit_entries to hf_api, hf_system, hf_storage, hf_ingest;',
  test: 'apps/cloud/src/rls.db.test.ts',
};
