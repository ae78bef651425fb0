-- What the keystore knows when it judges a release. Rows are only ever added: what is known of a log, a key or a request never
-- goes back, and the newest row counts.

-- How far a tenant's key log was followed, with all that going on needs: one row for each time.
create table keystore.followed_logs (
  tenant_id uuid not null references keystore.log_anchors,
  tree_size bigint not null check (tree_size >= 1),
  -- The roots of its perfect subtrees, largest first.
  peaks bytea[] not null check (cardinality(peaks) between 1 and 53),
  followed_at timestamptz not null,
  primary key (tenant_id, tree_size)
);

-- The register of public keys, as each leaf leaves it.
create table keystore.key_states (
  tenant_id uuid not null references keystore.log_anchors,
  public_key text not null check (public_key ~ '^[A-Za-z0-9_-]{43}$'),
  -- Of the leaf that says so.
  log_index bigint not null check (log_index >= 0),
  holder_kind text not null check (holder_kind in ('device', 'person')),
  holder_uid uuid not null,
  -- By the keystore's clock, as all instants here.
  first_seen_at timestamptz not null,
  is_trusted_at_once boolean not null,
  approves_since timestamptz,
  ended_at timestamptz,
  primary key (tenant_id, public_key, log_index)
);
create index key_states_by_place on keystore.key_states (tenant_id, log_index);
create index key_states_of_persons on keystore.key_states (tenant_id, public_key, log_index) where holder_kind = 'person';

-- The changes of the rules of release that count.
create table keystore.release_rules (
  tenant_id uuid not null references keystore.log_anchors,
  number integer not null check (number >= 1),
  log_index bigint not null check (log_index >= 0),
  -- Canonical JSON, as it was approved.
  change text not null check (octet_length(change) <= 8192),
  known_since timestamptz not null,
  primary key (tenant_id, number)
);

-- Requests that were granted, each under one leaf. They are kept for good: there is one leaf of the log for each at least.
create table keystore.used_requests (
  tenant_id uuid not null references keystore.log_anchors,
  request_id text not null check (request_id ~ '^[A-Za-z0-9_-]{22}$'),
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  used_at timestamptz not null,
  primary key (tenant_id, request_id)
);

-- Leaves of releases that wait for the delay of their purpose, and since when.
create table keystore.waiting_leaves (
  tenant_id uuid not null references keystore.log_anchors,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  since_at timestamptz not null,
  primary key (tenant_id, leaf_hash)
);

select isolate_by_tenant('keystore.followed_logs');
select isolate_by_tenant('keystore.key_states');
select isolate_by_tenant('keystore.release_rules');
select isolate_by_tenant('keystore.used_requests');
select isolate_by_tenant('keystore.waiting_leaves');
drop policy system_all on keystore.followed_logs;
drop policy system_all on keystore.key_states;
drop policy system_all on keystore.release_rules;
drop policy system_all on keystore.used_requests;
drop policy system_all on keystore.waiting_leaves;
grant select, insert on keystore.followed_logs, keystore.key_states, keystore.release_rules, keystore.used_requests,
  keystore.waiting_leaves to hf_keystore;

-- Guarantees: no login changes or removes a row here; a request is used under one leaf, and a number of rules is given once.
