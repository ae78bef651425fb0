/**
 * Audit: what was done, by whom, from where; and proof that nobody changed the record.
 *
 * Owns tables `audit_entries`, `audit_leaves`, `audit_nodes`, `audit_heads`, `audit_signed_heads`, `log_keys`.
 * Invariants: entries are only ever added; each has one leaf in its tenant's Merkle log, appended by the database when
 * the entry's transaction commits; a head is signed only if it continues the one signed before.
 * Not guaranteed: that entries newer than the last head which left this system were not removed.
 */
export { auditOrigin, findLogVerifier, makeLogKey, openLogSigner, type NewLogKey } from './log-keys.ts';
export { mountAudit } from './routes.ts';
export { keepSigningHeads, signHead, signHeads, SIGN_EVERY_SECONDS, type SigningDeps } from './sign-heads.ts';
export { verifyAuditLog, type AuditProblem, type AuditVerdict, type LoggedEntry } from './verify-audit.ts';
export { writeAudit } from './write-audit.ts';
export { insertLogKey, tables as auditTables } from './store.ts';
