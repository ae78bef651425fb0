/**
 * Releases: requests for the keys of archives, who approved them, and what became of them.
 *
 * Owns tables `release_requests`, `release_approvals`, `release_rule_changes`, `release_outcomes`, `release_refusals`,
 * `release_waits`, `archive_owners`.
 * Invariants: the outer layer of an escrow slot is opened only in a transaction in which the leaf of the release stands, and is
 * handed over once that is committed; what a registered key was refused is a leaf; nothing is changed or removed.
 * Not guaranteed: that what is logged is released. The keystore judges everything anew.
 */
export type { ReleaseDeps } from './callers.ts';
export { keepFollowing } from './follow-keystore.ts';
export { mountReleases } from './routes.ts';
export { tables as releaseTables } from './store.ts';
