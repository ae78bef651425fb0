-- A new escrow slot is tried at once; how that of each archive's newest keyring stands.

-- Once a week all slots are tried, and between that those of keyrings that have come.
alter table escrow_runs add column kind text not null default 'weekly' check (kind in ('weekly', 'new'));
alter table escrow_runs alter column kind drop default;
drop index escrow_runs_by_time;
create index escrow_runs_by_time on escrow_runs (tenant_id, kind, begun_at);

create table escrow_standings (
  tenant_id uuid not null,
  archive_id uuid not null,
  -- The newest keyring with an escrow slot, as it was when it was last looked.
  keyring_sha256 text not null check (keyring_sha256 ~ '^[0-9a-f]{64}$'),
  -- What became of its slots: `opens` where one of them does, else a code; null until they were tried.
  outcome text check (octet_length(outcome) <= 100),
  -- Since when no newest keyring was proved to open; null where this one is.
  unproved_since timestamptz,
  -- When it was said that this takes long.
  told_at timestamptz,
  -- Why no commits are taken; stays until a keyring opens, whatever keyrings come before it.
  refused_code text check (octet_length(refused_code) <= 100),
  primary key (tenant_id, archive_id),
  foreign key (tenant_id, archive_id) references archives
);
select isolate_by_tenant('escrow_standings');
grant select, insert, update (keyring_sha256, outcome, unproved_since, told_at, refused_code) on escrow_standings to hf_system;
grant select on escrow_standings to hf_api;
grant select (tenant_id, archive_id, refused_code) on escrow_standings to hf_storage;

-- One waits for each tenant at most, but for second looks, which have names of their own. What fails for good is looked at
-- again within the hour, so it leaves no dead letter.
select jobs.create_queue('escrow_tries/new', '{"policy": "short", "retryLimit": 3, "retryDelay": 10, "retryBackoff": true,
  "expireInSeconds": 900, "heartbeatSeconds": 60, "deleteAfterSeconds": 3600}');

-- Guarantees: no login but that of the jobs says how a slot stands; the storage role reads whether commits are refused.
