/**
 * Escrow: the public keys to which a tenant's escrow slots are sealed, and the half of them that the role api opens.
 *
 * Owns table `escrow_keys`. Invariants: a tenant that was made whole has a document; each is said by a leaf of the key log,
 * in the transaction that stores it; none is changed or removed.
 * Not guaranteed: that the keystore still has its half. It proves that by opening.
 */
export {
  addEscrowKeys,
  ensureEscrowKeys,
  findEscrowKeys,
  listEscrowKeyIds,
  logSealingKeyPurpose,
  openLogSealingKey,
  prepareEscrowKeys,
  type EscrowDeps,
  type EscrowKeyIds,
  type PreparedEscrowKeys,
} from './escrow-keys.ts';
export { listTenantsWithoutEscrowKeys, tables as escrowTables } from './store.ts';
