/**
 * Storage: the archives of devices, as bytes that nobody here can read.
 *
 * Owns tables `archives`, `receipt_keys`, and the folders of archives. Invariants: an acknowledged record is on stable
 * storage, indexed and noted in the database; fragments take effect in order, and only of the newest session; a device
 * reaches its own archive and no other, but for one that it has proved to take over; nothing here removes a record.
 * Not guaranteed: that one archive is written by one node. It is, as long as one server runs on a folder.
 */
export { BodyMemory } from './receive-body.ts';
export { findKeyring, OpenArchives, type OpenArchivesOptions } from './open-archives.ts';
export { openReceiptSigner, type ReceiptSigner } from './receipts.ts';
export { mountStorage } from './routes.ts';
export { deviceOfArchive, tables as storageTables } from './store.ts';
export { archivesToHandOn } from './archives.ts';
export { Quotas } from './write-archive.ts';
