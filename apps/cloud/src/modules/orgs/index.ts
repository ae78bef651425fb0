/**
 * Orgs: the units of a tenant, a tree with one root.
 *
 * Owns table `orgs` and the view `org_counts`. Invariants: a tenant has exactly one root org; `path` lists the orgs
 * from the root to the org itself, so "is below" is a question about one row.
 */
export { addOrg } from './orgs.ts';
export { mountOrgs } from './routes.ts';
export { findPath, findRootOrgId, tables as orgTables } from './store.ts';
