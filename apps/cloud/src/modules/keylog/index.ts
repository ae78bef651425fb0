/**
 * The key log: what is done with keys of a tenant's archives and devices, where nobody can hide it.
 *
 * Owns tables `key_log_leaves`, `key_log_subjects`, `key_log_daily_heads`. Invariants: leaves are only ever added, each in
 * the transaction of what it says; a device sees the tree over all of them, and the texts of those about itself, its archive
 * or everybody; a day has one leaf over the heads of all archives at most.
 * Not guaranteed: that a leaf is signed for at once; the head is, when somebody asks for it.
 */
export { appendKeyEnded, appendKeyLogLeaf, type AppendedLeaf, type LeafPlace } from './append-leaf.ts';
export { approvesSince } from './approvers.ts';
export { compareHead, type HeadVerdict } from './compare-head.ts';
export { writeDailyHeads } from './daily-heads.ts';
export { mountKeyLog } from './routes.ts';
export {
  bringKeystore,
  keepFollowedHead,
  showLeaf,
  underFollowedHead,
  type CosignDeps,
  type ShowDeps,
  type ShownLeaf,
} from './show-keystore.ts';
export { listJudgingLeaves, sayKeyringAdded, tables as keyLogTables } from './store.ts';
