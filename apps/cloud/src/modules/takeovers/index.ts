/**
 * Takeovers: a new computer goes on with the archive of an old one.
 *
 * Owns tables `takeovers`, `takeover_keys`. Invariants: who takes an archive over has proved it by a document for its own
 * key that the old device, the archive's recovery code or an administrator signed, and that is used once; it is judged
 * again when the archive changes hands; each step is a leaf of the key log, in its transaction.
 * Not guaranteed: that the old device knows. It learns it at its next contact, and from the log.
 */
export { mountTakeovers } from './routes.ts';
export type { ArchiveToHandOn, HandOnArchives } from './take-over.ts';
export { addTakeoverKeys, mayReadToTakeOver, tables as takeoverTables, wasTakenFrom } from './store.ts';
