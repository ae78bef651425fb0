-- Since when the keystore knows the leaf of a release that waits for the delay of its purpose, by its own clock: until that has
-- passed it is not asked again.
create table release_waits (
  tenant_id uuid not null references tenants,
  document_sha256 text not null check (document_sha256 ~ '^[0-9a-f]{64}$'),
  since_at timestamptz not null,
  primary key (tenant_id, document_sha256)
);
select isolate_by_tenant('release_waits');
grant select, insert on release_waits to hf_api;

-- Guarantees: no login changes or removes since when a release waits.
