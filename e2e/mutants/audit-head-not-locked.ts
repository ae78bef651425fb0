/** Appends to the log without locking its head. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0002_audit.sql',
  find: 'from audit_heads h where h.tenant_id = new.tenant_id for update;\n  if not found',
  replace: 'from audit_heads h where h.tenant_id = new.tenant_id;\n  if not found',
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
