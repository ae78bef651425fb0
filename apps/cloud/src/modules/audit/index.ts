/**
 * Audit: what was done, by whom, from where; and proof that nobody changed the record.
 *
 * Owns tables `audit_entries`, `audit_leaves`. Invariants: entries are only ever added; each has one leaf in its tenant's
 * Merkle log, appended by the database when the entry's transaction commits.
 * Not guaranteed: that entries newer than the last head which left this system were not removed.
 */
export { mountAudit } from './routes.ts';
export { verifyAuditLog, type AuditProblem, type AuditVerdict, type LoggedEntry } from './verify-audit.ts';
export { writeAudit } from './write-audit.ts';
export { tables as auditTables } from './store.ts';
