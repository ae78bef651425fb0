-- What orgs decide for the devices in them, and what must be kept whatever anybody decides.

create table org_policies (
  tenant_id uuid not null,
  org_id uuid not null,
  -- The settings this org decides itself; the others come from above (resolve-policy.ts).
  settings jsonb not null,
  -- Names of settings nobody below may change.
  locked text[] not null,
  revision integer not null,
  modified_at timestamptz not null,
  primary key (tenant_id, org_id),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id)
);
select isolate_by_tenant('org_policies');
grant select, insert, update on org_policies to hf_api, hf_system;
grant select on org_policies to hf_storage;

-- A legal hold on one archive: while one is not released, storage lets nothing of that archive go.
create table holds (
  tenant_id uuid not null references tenants,
  hold_id uuid not null,
  archive_id uuid not null,
  reason text not null,
  placed_by text not null,
  placed_at timestamptz not null,
  released_by text,
  released_at timestamptz,
  primary key (tenant_id, hold_id),
  check ((released_at is null) = (released_by is null))
);
create index holds_by_archive on holds (tenant_id, archive_id) where released_at is null;
select isolate_by_tenant('holds');
grant select, insert on holds to hf_api;
grant update (released_by, released_at) on holds to hf_api;
grant select on holds to hf_storage, hf_system;

-- Guarantees: a hold is never deleted, and storage cannot write one.
