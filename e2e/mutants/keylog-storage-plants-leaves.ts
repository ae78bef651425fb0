/** Lets the storage role add whatever leaf it likes. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: 'grant insert (tenant_id, body, outline) on key_log_leaves to hf_api, hf_system;',
  replace: 'grant insert (tenant_id, body, outline) on key_log_leaves to hf_api, hf_system, hf_storage;',
  test: 'apps/cloud/src/modules/keylog/storage-role.db.test.ts',
};
