/**
 * Escrow: the public keys to which a tenant's escrow slots are sealed, and the half of them that the role api opens.
 *
 * Owns tables `escrow_keys`, `escrow_runs`, `escrow_tries`. Invariants: a tenant that was made whole has a document; each is said by a leaf of the key log,
 * in the transaction that stores it; none is changed or removed.
 * A slot is tried only after a leaf has announced it.
 * Not guaranteed: that the keystore still has its half. It proves that by opening, once a week for each slot.
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
export { countRottenSlots } from './tries-store.ts';
export { tryEscrowSlots, type ReadKeyring, type TryDeps } from './try-slots.ts';
export { listTenantsWithoutEscrowKeys, tables as escrowTables } from './store.ts';
