-- Tenants, their orgs, and the one function that makes a table theirs.
-- Runs as hf_migrate, which owns everything here and is neither a superuser nor exempt from row security.

revoke all on schema public from public;
grant usage on schema public to hf_api, hf_storage, hf_ingest, hf_system;
alter default privileges revoke execute on functions from public;

-- Makes a table tenant-isolated: everybody, its owner included, sees and writes only rows of the tenant named by the
-- transaction-local setting app.tenant_id, and none when it is unset. Two logins work across tenants by a policy of
-- their own: hf_migrate, which changes data in migrations, and hf_system, which runs jobs. Grants come apart, by login.
-- nullif: on a pooled connection an ended setting reads as '', not as null.
create function isolate_by_tenant(t regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format('create policy tenant_isolation on %s
    using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
    with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  execute format('create policy owner_all on %s to hf_migrate using (true) with check (true)', t);
  execute format('create policy system_all on %s to hf_system using (true) with check (true)', t);
end $$;

-- What identifies this installation for good: agents pin it, tokens carry it.
create table installation (
  only_row boolean primary key default true check (only_row),
  installation_id uuid not null,
  created_at timestamptz not null
);
grant select on installation to hf_api, hf_storage, hf_ingest, hf_system;
grant insert on installation to hf_system;

create table tenants (
  tenant_id uuid primary key,
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null,
  -- Given to people who install the product; names the tenant, proves nothing.
  registration_key text not null,
  state text not null default 'active' check (state in ('active', 'blocked', 'deactivated')),
  created_at timestamptz not null,
  modified_at timestamptz not null
);
select isolate_by_tenant('tenants');
grant select on tenants to hf_api, hf_storage, hf_ingest;
grant update (name, modified_at) on tenants to hf_api;
grant select, insert, update on tenants to hf_system;

-- Which tenant an identifier belongs to, before the tenant is known: the one thing that may be asked then.
create table locators (
  tenant_id uuid not null references tenants,
  kind text not null,
  -- SHA-256 of the identifier: the table gives away no session, slug or client.
  identifier_sha256 bytea not null check (octet_length(identifier_sha256) = 32),
  primary key (kind, identifier_sha256)
);
select isolate_by_tenant('locators');
grant select, insert, delete on locators to hf_api, hf_system;

create function locate(kind text, identifier_sha256 bytea) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select l.tenant_id from public.locators l where l.kind = $1 and l.identifier_sha256 = $2
$$;
grant execute on function locate(text, bytea) to hf_api, hf_storage, hf_ingest, hf_system;

create table orgs (
  tenant_id uuid not null references tenants,
  org_id uuid not null,
  -- The number older interfaces know the org by.
  legacy_id bigint generated always as identity,
  name text not null,
  -- A reference of the customer's own, such as a cost centre.
  ext_ref text,
  notes text,
  parent_org_id uuid,
  -- The orgs from the root to this one, itself last: a subtree is every org whose path holds its top.
  path uuid[] not null check (path[cardinality(path)] = org_id),
  registration_key text not null,
  active boolean not null default true,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  deactivated_at timestamptz,
  primary key (tenant_id, org_id),
  unique (tenant_id, legacy_id),
  foreign key (tenant_id, parent_org_id) references orgs (tenant_id, org_id),
  check ((parent_org_id is null) = (cardinality(path) = 1))
);
create unique index orgs_one_root on orgs (tenant_id) where parent_org_id is null;
create index orgs_by_parent on orgs (tenant_id, parent_org_id);
select isolate_by_tenant('orgs');
grant select, insert on orgs to hf_api, hf_system;
grant update (name, ext_ref, notes, active, modified_at, deactivated_at) on orgs to hf_api;

-- Guarantees: a tenant has one root org; no login but hf_system and hf_migrate sees two tenants.
