/**
 * Escrow: the public keys to which a tenant's escrow slots are sealed, and the half of them that the role api opens.
 *
 * Owns tables `escrow_keys`, `escrow_runs`, `escrow_tries`, `escrow_standings`. Invariants: a tenant that was made whole has a document; each is said by a leaf of the key log,
 * in the transaction that stores it; none is changed or removed.
 * A slot is tried only after a leaf has announced it. How an archive's newest keyring stands is what its own tries have shown.
 * Not guaranteed: that the keystore still has its half. It proves that by opening, each slot when it is new and once a week.
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
export { countLongUnproved, findRefusal } from './standings-store.ts';
export { countRottenSlots } from './tries-store.ts';
export { longUnprovedBefore, newEscrowSlots, noteKeyrings, tryNewEscrowSlots } from './try-new-slots.ts';
export { tryEscrowSlots, type ReadKeyring, type TryDeps } from './try-slots.ts';
export { listTenantsWithoutEscrowKeys, tables as escrowTables } from './store.ts';
