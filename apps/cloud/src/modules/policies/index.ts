/**
 * Policies: what orgs decide for the devices in them, backup sets included.
 *
 * Owns table `org_policies`. Invariants: a setting comes from the nearest org that sets it unless one above has locked
 * it; a change made on an older revision is refused. Not guaranteed: that a device has applied what is in force.
 */
export { demandsEscrow, lacksEscrow } from './escrow-demand.ts';
export { resolveForOrg } from './policies.ts';
export { defaultBackupSet, defaultSettings, resolvePolicy, type PolicyOfOrg } from './resolve-policy.ts';
export { mountPolicies } from './routes.ts';
export { tables as policyTables } from './store.ts';
