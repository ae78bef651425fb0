/** Appends to the log without locking its head. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0011_key_log.sql',
  find: 'from log_heads h where h.tenant_id = of_tenant and h.log = of_log for update;\n  if not found',
  replace: 'from log_heads h where h.tenant_id = of_tenant and h.log = of_log;\n  if not found',
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
