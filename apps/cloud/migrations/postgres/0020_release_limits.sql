-- What somebody with a registered key may do so often in a day and leaves no row elsewhere: proposals and approvals of rules, and
-- vouches, taken or refused.
create table release_acts (
  tenant_id uuid not null references tenants,
  act_id uuid not null,
  by_uid uuid not null,
  at timestamptz not null,
  primary key (tenant_id, act_id)
);
create index release_acts_by_whom on release_acts (tenant_id, by_uid, at);
select isolate_by_tenant('release_acts');
grant select, insert on release_acts to hf_api;

-- A request is named by its requester: nobody else's request of the same number stands for it. Rows from before stand for
-- everybody's.
alter table keystore.used_requests add column requester_key text not null default ''
  check (requester_key ~ '^([A-Za-z0-9_-]{43})?$');
alter table keystore.used_requests drop constraint used_requests_pkey;
alter table keystore.used_requests add primary key (tenant_id, request_id, requester_key);

-- The newest head of each key log that the keystore has followed, with its signature: what computers compare with the log that
-- they are shown.
create table key_log_followed_heads (
  tenant_id uuid primary key references tenants,
  tree_size bigint not null check (tree_size >= 1),
  note text not null check (octet_length(note) <= 4096)
);
select isolate_by_tenant('key_log_followed_heads');
grant select, insert, update (tree_size, note) on key_log_followed_heads to hf_api;

-- Guarantees: no login changes or removes an act that was counted; a request of a requester is used under one leaf.
