-- The weekly trial of escrow slots.

-- Runs that try escrow slots: a leaf announces each, so that nothing is opened unsaid.
create table escrow_runs (
  tenant_id uuid not null references tenants,
  run_id uuid not null,
  begun_at timestamptz not null,
  -- Of the leaf; null where no archive had an escrow slot.
  log_index bigint,
  finished_at timestamptz,
  primary key (tenant_id, run_id)
);
create index escrow_runs_by_time on escrow_runs (tenant_id, begun_at);

-- The slots of a run, at their places in the tree of its leaf. What became of each is a code; `opens` where all is well.
create table escrow_tries (
  tenant_id uuid not null,
  run_id uuid not null,
  place integer not null check (place >= 0),
  archive_id uuid not null,
  slot_id text not null check (slot_id ~ '^[0-9a-f]{32}$'),
  keyring_sha256 text not null check (keyring_sha256 ~ '^[0-9a-f]{64}$'),
  outcome text check (octet_length(outcome) <= 100),
  primary key (tenant_id, run_id, place),
  foreign key (tenant_id, run_id) references escrow_runs on delete cascade
);
select isolate_by_tenant('escrow_runs');
select isolate_by_tenant('escrow_tries');
grant select, insert, update (finished_at), delete on escrow_runs to hf_system;
grant select, insert, update (outcome) on escrow_tries to hf_system;
grant select on escrow_runs, escrow_tries to hf_api;

-- It is looked at every hour, and begun by the first of a week that runs; what is not done within one goes on in the next.
select jobs.create_queue('escrow_tries/everywhere', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 3,
  "retryDelay": 5, "retryBackoff": true, "expireInSeconds": 300, "heartbeatSeconds": 60, "deleteAfterSeconds": 3600}');
select jobs.create_queue('escrow_tries/tenant', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 5,
  "retryDelay": 5, "retryBackoff": true, "retryDelayMax": 600, "expireInSeconds": 900, "heartbeatSeconds": 60,
  "deleteAfterSeconds": 3600}');
insert into jobs.schedule (name, kind, cron, timezone, data) values ('escrow_tries/everywhere', 'cron', '37 * * * *', 'UTC', '{}');

-- Guarantees: no login but that of the jobs changes what became of a try, and none changes which slots a run announced.
