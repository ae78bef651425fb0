-- Releases of keys, as the role api handles them: what was asked for, who approved, what became of it. The key log says all
-- of it to who is concerned; these tables only find it again. Nothing in them is changed or removed.

create table release_requests (
  tenant_id uuid not null references tenants,
  -- SHA-256 of the text, hex: how approvals name it.
  request_sha256 text not null check (request_sha256 ~ '^[0-9a-f]{64}$'),
  archive_id uuid not null,
  requester_kind text not null check (requester_kind in ('device', 'person')),
  requester_uid uuid not null,
  purpose text not null,
  request text not null check (octet_length(request) <= 65536),
  signature text not null check (octet_length(signature) <= 100),
  expires_at timestamptz not null,
  asked_at timestamptz not null,
  primary key (tenant_id, request_sha256)
);
create index release_requests_by_time on release_requests (tenant_id, asked_at);

-- Of requests and of changes of the rules: both are named by the hash of their text.
create table release_approvals (
  tenant_id uuid not null references tenants,
  document_sha256 text not null check (document_sha256 ~ '^[0-9a-f]{64}$'),
  user_id uuid not null,
  approval text not null check (octet_length(approval) <= 1024),
  signature text not null check (octet_length(signature) <= 100),
  approved_at timestamptz not null,
  primary key (tenant_id, document_sha256, user_id)
);

create table release_rule_changes (
  tenant_id uuid not null references tenants,
  change_sha256 text not null check (change_sha256 ~ '^[0-9a-f]{64}$'),
  number integer not null check (number >= 1),
  change text not null check (octet_length(change) <= 4096),
  proposed_at timestamptz not null,
  primary key (tenant_id, change_sha256)
);

-- What became of a document: its leaf stands in the log; then what it asked for was opened, or it was refused for good.
create table release_outcomes (
  tenant_id uuid not null references tenants,
  document_sha256 text not null check (document_sha256 ~ '^[0-9a-f]{64}$'),
  outcome text not null check (outcome in ('logged', 'granted', 'refused')),
  -- Of the leaf that says so; a grant has that of the release.
  log_index bigint not null,
  -- Why it was refused.
  code text check ((code is null) = (outcome <> 'refused')),
  -- Keys, sealed to the recipient of the request.
  sealed bytea check ((sealed is null) = (outcome <> 'granted') and octet_length(sealed) <= 262144),
  at timestamptz not null,
  primary key (tenant_id, document_sha256, outcome),
  foreign key (tenant_id, log_index) references key_log_leaves (tenant_id, log_index)
);
-- Granted or refused, and never both.
create unique index release_outcomes_settled on release_outcomes (tenant_id, document_sha256) where outcome <> 'logged';

-- Refusals of what somebody with a registered key asked for, each a leaf; they are counted by whom.
create table release_refusals (
  tenant_id uuid not null references tenants,
  log_index bigint not null,
  by_kind text not null check (by_kind in ('device', 'person')),
  by_uid uuid not null,
  document_sha256 text not null,
  code text not null,
  at timestamptz not null,
  primary key (tenant_id, log_index),
  foreign key (tenant_id, log_index) references key_log_leaves (tenant_id, log_index)
);
create index release_refusals_by_whom on release_refusals (tenant_id, by_uid, at);

-- The statement of an archive's writer that the archive is a device's; the newest counts, and the keystore checks it.
create table archive_owners (
  tenant_id uuid not null references tenants,
  archive_id uuid not null,
  signature text not null check (octet_length(signature) <= 100),
  stated_at timestamptz not null,
  primary key (tenant_id, archive_id, signature)
);

select isolate_by_tenant('release_requests');
select isolate_by_tenant('release_approvals');
select isolate_by_tenant('release_rule_changes');
select isolate_by_tenant('release_outcomes');
select isolate_by_tenant('release_refusals');
select isolate_by_tenant('archive_owners');
grant select, insert on release_requests, release_approvals, release_rule_changes, release_outcomes, release_refusals,
  archive_owners to hf_api;

-- What the role api has to know of keys and rules before it logs a release: few leaves of a long log.
create index key_log_leaves_of_persons on key_log_leaves (tenant_id, log_index)
  where kind in ('person_key_registered', 'person_key_ended', 'key_vouched', 'release_rules');

-- How long the key log of each tenant is: for showing the keystore what is new, which it dates by its own clock.
create function key_log_sizes() returns table (tenant_id uuid, tree_size bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select h.tenant_id, h.tree_size from public.log_heads h where h.log = 'key'
$$;
grant execute on function key_log_sizes() to hf_api;

-- Guarantees: no login changes or removes a request, an approval or an outcome; what is granted is not refused, nor the
-- other way round; a person approves a document once.
