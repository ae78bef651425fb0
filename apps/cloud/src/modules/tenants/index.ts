/**
 * Tenants: the organisations on this server, and the installation itself.
 *
 * Owns tables `installation`, `tenants`, `locators`. Invariants: an address (slug) belongs to one tenant for good;
 * what can be found before a tenant is known is found through `locate` only. The installation has a tenant of its own,
 * whose id is the installation's: it has no address and no people, and its log holds what concerns no customer.
 */
export { mountTenants } from './routes.ts';
export {
  deleteLocators,
  findInstallationId,
  findTenant,
  insertInstallation,
  insertTenant,
  listTenantIds,
  listTenants,
  lockTenant,
  tables as tenantTables,
} from './store.ts';
export {
  addLocator,
  addTenant,
  isTenantActive,
  locate,
  newRegistrationKey,
  tenantErrors,
  type LocatorKind,
} from './tenants.ts';
