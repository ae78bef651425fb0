/**
 * Keyrings by themselves, for who opens one by its ring key and then forgets it: what they say openly, the ring, and the keys
 * that read an epoch.
 *
 * It loads nothing of the engine that makes and restores archives.
 */
export { archiveErrors } from '../errors.ts';
export { type Keyring, type KeyringSlot, parseKeyring, type Ring, slotKinds, type Writer } from '../format/keyring.ts';
export { RecordKind, recordLengthOf, splitRecord } from '../format/record.ts';
export { deriveReadKeys, type OpenedKeyring, withOpenedKeyring } from './open-keyring.ts';
