/**
 * Every table that is not isolated by tenant in the usual way, with the reason. A test fails for any other.
 *
 * `no_tenant_id`: the table has no tenant. `key_order`: it is isolated, but its key does not begin with the tenant.
 */
export const tablesWithoutTenant: Readonly<
  Record<string, { readonly lacks: 'no_tenant_id' | 'key_order'; readonly reason: string }>
> = {
  schema_migrations: { lacks: 'no_tenant_id', reason: 'which migrations this database has had; read by hf_migrate' },
  installation: { lacks: 'no_tenant_id', reason: 'one row: the identity of the installation, which is public' },
  token_keys: { lacks: 'no_tenant_id', reason: 'one set of keys signs the tokens of all tenants' },
  shared_secrets: { lacks: 'no_tenant_id', reason: 'secrets of server roles, wrapped; no tenant data' },
  receipt_keys: { lacks: 'no_tenant_id', reason: 'one set of keys signs the receipts of all tenants' },
  locators: { lacks: 'key_order', reason: 'asked, through locate() alone, before a tenant is known' },
};
