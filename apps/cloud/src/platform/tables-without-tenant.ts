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
  retired_keys: { lacks: 'no_tenant_id', reason: 'ids of keys that wrap nothing any more; read by hf_migrate' },
  receipt_keys: { lacks: 'no_tenant_id', reason: 'one set of keys signs the receipts of all tenants' },
  locators: { lacks: 'key_order', reason: 'asked, through locate() alone, before a tenant is known' },
};

/**
 * Every table of the schema `jobs` that has no tenant, with the reason; a test fails for any other but those of the jobs
 * themselves. Their form is pg-boss's.
 */
export const jobTablesWithoutTenant: Readonly<Record<string, string>> = {
  version: 'one row: the version of the schema, and when each kind of upkeep was last done',
  queue: 'how jobs of each kind are done, as migrations say; counts of jobs over all tenants',
  schedule: 'what is due at which times for the whole installation, as migrations say',
  subscription: 'which queues hear of which event; nothing uses it',
  bam: 'indexes that are still to be built after an upgrade of the schema',
  warning: 'warnings of the queues; they are logged instead',
  queue_stats: 'counts of jobs by time; they are in the metrics instead',
  job_dependency: 'which job waits for which, by ids alone; nothing uses it',
};
