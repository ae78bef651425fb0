-- Who can act: people, API clients, devices, the roles they hold, and how they sign in.

create table users (
  tenant_id uuid not null,
  user_id uuid not null,
  -- The number older interfaces know the user by.
  legacy_id bigint generated always as identity,
  org_id uuid not null,
  username text not null,
  -- The user name as it is compared: NFKC, lower case.
  username_key text not null,
  first_name text,
  last_name text,
  notes text,
  -- Argon2id in the PHC string format; null for people who have no password here.
  password_hash text,
  active boolean not null default true,
  blocked boolean not null default false,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  primary key (tenant_id, user_id),
  unique (tenant_id, username_key),
  unique (tenant_id, legacy_id),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id)
);
create index users_by_org on users (tenant_id, org_id);
select isolate_by_tenant('users');
grant select, insert, update on users to hf_api, hf_system;
grant select (tenant_id, user_id, org_id, active, blocked) on users to hf_storage, hf_ingest;

-- A role held over an org and all orgs below it.
create table role_assignments (
  tenant_id uuid not null,
  principal_id uuid not null,
  org_id uuid not null,
  role_id text not null,
  assigned_at timestamptz not null,
  primary key (tenant_id, principal_id, org_id, role_id),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id)
);
select isolate_by_tenant('role_assignments');
grant select, insert, delete on role_assignments to hf_api, hf_system;

create table api_clients (
  tenant_id uuid not null,
  -- The client id on the wire is `key-` and this.
  client_id uuid not null,
  org_id uuid not null,
  name text not null,
  created_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, client_id),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id)
);
select isolate_by_tenant('api_clients');
grant select, insert on api_clients to hf_api, hf_system;
grant update (last_used_at, revoked_at) on api_clients to hf_api;

create table api_client_secrets (
  tenant_id uuid not null,
  client_id uuid not null,
  -- Secrets are 256 random bits, so a plain hash of them cannot be searched.
  secret_sha256 bytea not null check (octet_length(secret_sha256) = 32),
  created_at timestamptz not null,
  -- When it stops working; null for the one in force.
  ends_at timestamptz,
  primary key (tenant_id, client_id, secret_sha256),
  foreign key (tenant_id, client_id) references api_clients (tenant_id, client_id)
);
select isolate_by_tenant('api_client_secrets');
grant select, insert, delete on api_client_secrets to hf_api, hf_system;
grant update (ends_at) on api_client_secrets to hf_api, hf_system;

create table sessions (
  tenant_id uuid not null,
  session_id uuid not null,
  user_id uuid not null,
  token_sha256 bytea not null check (octet_length(token_sha256) = 32),
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  idle_ends_at timestamptz not null,
  absolute_ends_at timestamptz not null,
  ended_at timestamptz,
  ip_address text not null,
  user_agent text not null,
  primary key (tenant_id, session_id),
  unique (tenant_id, token_sha256),
  foreign key (tenant_id, user_id) references users (tenant_id, user_id)
);
create index sessions_by_user on sessions (tenant_id, user_id);
select isolate_by_tenant('sessions');
grant select, insert on sessions to hf_api;
grant update (last_seen_at, idle_ends_at, ended_at) on sessions to hf_api;
grant select, delete on sessions to hf_system;

-- Browsers a user has signed in from before; each counts its failures apart from strangers'.
create table known_browsers (
  tenant_id uuid not null,
  token_sha256 bytea not null check (octet_length(token_sha256) = 32),
  user_id uuid not null,
  last_used_at timestamptz not null,
  primary key (tenant_id, token_sha256),
  foreign key (tenant_id, user_id) references users (tenant_id, user_id)
);
select isolate_by_tenant('known_browsers');
grant select, insert on known_browsers to hf_api;
grant update (last_used_at) on known_browsers to hf_api;
grant select, delete on known_browsers to hf_system;

-- Failed sign-ins, by what they are counted for. A subject need not exist: a wrong name counts as a right one does.
create table attempt_counters (
  tenant_id uuid not null references tenants,
  subject_kind text not null check (subject_kind in ('account', 'source', 'browser', 'client')),
  subject_sha256 bytea not null check (octet_length(subject_sha256) = 32),
  failures integer not null,
  last_attempt_at timestamptz not null,
  blocked_until timestamptz not null,
  primary key (tenant_id, subject_kind, subject_sha256)
);
select isolate_by_tenant('attempt_counters');
grant select, insert, update, delete on attempt_counters to hf_api;
grant select, delete on attempt_counters to hf_system;

create table devices (
  tenant_id uuid not null,
  device_id uuid not null,
  org_id uuid not null,
  -- Whose device it is; null until somebody has signed in on it or an administrator confirmed.
  user_id uuid,
  name text not null,
  state text not null default 'active' check (state in ('active', 'deauthorized', 'deactivated')),
  blocked boolean not null default false,
  -- The device's public key (RFC 7517) and its thumbprint (RFC 7638), to which its tokens are bound.
  public_jwk jsonb not null,
  key_thumbprint text not null,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  primary key (tenant_id, device_id),
  unique (tenant_id, key_thumbprint),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id),
  foreign key (tenant_id, user_id) references users (tenant_id, user_id)
);
create index devices_by_org on devices (tenant_id, org_id);
create index devices_by_user on devices (tenant_id, user_id);
select isolate_by_tenant('devices');
grant select, insert, update on devices to hf_api, hf_system;
grant select on devices to hf_storage, hf_ingest;

-- How many active users, active devices and orgs are directly in each org. Runs with the rights of who asks.
create view org_counts with (security_invoker = true) as
  select o.tenant_id, o.org_id,
    (select count(*) from users u where u.tenant_id = o.tenant_id and u.org_id = o.org_id and u.active) as user_count,
    (select count(*) from devices d
      where d.tenant_id = o.tenant_id and d.org_id = o.org_id and d.state = 'active') as device_count,
    (select count(*) from orgs c where c.tenant_id = o.tenant_id and c.parent_org_id = o.org_id) as org_count
  from orgs o;
grant select on org_counts to hf_api;

-- Guarantees: user names are unique within a tenant; no password and no secret is stored in a form that can be used.
