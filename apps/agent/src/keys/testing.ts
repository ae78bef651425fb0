/** What tests of the whole product do with the keys of a device: as who stole its disk would. */
export { withChangedSlots } from './change-slots.ts';
export { KeyStore, type StoredKeys } from './key-store.ts';
