/**
 * Legal holds: what must be kept whatever anybody decides.
 *
 * Owns table `holds`. Invariants: a hold is never deleted, and ends by an act of somebody who may place one; each act is
 * recorded. Storage asks `isHeld`. Not guaranteed: that nothing is let go for one hold more after the end; what lets
 * records go has to ask for that too.
 */
export { holdErrors, placeHold, releaseHold, type HoldDeps } from './holds.ts';
export { isHeld, tables as holdTables } from './store.ts';
