-- How devices come in: invitations that last so long and so often, and what a device said when it used one.

create table enrollment_tokens (
  tenant_id uuid not null,
  token_id uuid not null,
  -- Where its devices come to be.
  org_id uuid not null,
  -- 256 random bits, so a plain hash of them cannot be searched.
  token_sha256 bytea not null check (octet_length(token_sha256) = 32),
  uses_left integer not null check (uses_left >= 0),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  primary key (tenant_id, token_id),
  unique (tenant_id, token_sha256),
  foreign key (tenant_id, org_id) references orgs (tenant_id, org_id)
);
select isolate_by_tenant('enrollment_tokens');
grant select, insert on enrollment_tokens to hf_api, hf_system;
grant update (uses_left, revoked_at) on enrollment_tokens to hf_api;

alter table devices
  add column os text,
  add column agent_version text,
  -- The invitation it came by, and the random text that tells a request sent twice from a second device.
  add column enrollment_token_id uuid,
  add column enrollment_attempt text,
  add column last_seen_at timestamptz,
  add foreign key (tenant_id, enrollment_token_id) references enrollment_tokens (tenant_id, token_id);

-- A device on its first contact asks for no row of its own; storage asks for the quota that its org has.
grant select (tenant_id, org_id, path) on orgs to hf_storage;

-- Guarantees: no token is stored in a form that can be used.
