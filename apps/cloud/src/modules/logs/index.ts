/**
 * Logs: Merkle trees of a tenant that only grow, and their signed heads.
 *
 * Owns tables `log_nodes`, `log_heads`, `log_signed_heads`, `log_keys`. Invariants: leaves are only ever added, by the
 * database itself (`append_log_leaf`); a head is signed only if it continues the one signed before.
 * Not guaranteed: that leaves newer than the last head which left this system were not removed.
 */
export { findLogVerifier, makeLogKey, openLogSigner, originOf, type NewLogKey } from './log-keys.ts';
export {
  keepSigningHeads,
  nodeSource,
  signHead,
  signHeads,
  signingErrors,
  SIGN_EVERY_SECONDS,
  type SignedHead,
  type SigningDeps,
} from './sign-heads.ts';
export {
  findHead,
  findSignedHead,
  hasSignedHead,
  insertLogKey,
  listKeyLogs,
  listSignedHeads,
  tables as logTables,
  type LogName,
  type TenantLog,
} from './store.ts';
