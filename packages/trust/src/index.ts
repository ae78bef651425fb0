/**
 * What parties that do not trust each other agree on: canonical JSON, the Merkle log and its proofs, signed heads,
 * statements of deauthorisation, leaves of the key log, requests and rules of release, recovery codes, sealing to public keys,
 * and the slots of an archive's keyring. Pure functions; storage and transport are the caller's.
 */
export * from './archive-heads.ts';
export * from './canonical-json.ts';
export * from './checkpoint.ts';
export * from './custom-key-slot.ts';
export * from './deauthorization.ts';
export * from './escrow-keys.ts';
export * from './escrow-slot.ts';
export * from './escrow-tries.ts';
export * from './hpke.ts';
export * from './key-holders.ts';
export * from './key-log-leaf.ts';
export * from './key-log.ts';
export * from './log-heads.ts';
export * from './merkle-log.ts';
export * from './merkle-proof.ts';
export * from './password-slot.ts';
export * from './recovery-code.ts';
export * from './release-request.ts';
export * from './release-rules.ts';
export * from './release.ts';
export * from './signed-note.ts';
export { type Sign, type SignedText } from './signed-text.ts';
export * from './key-file.ts';
export * from './slot-errors.ts';
export * from './slots.ts';
