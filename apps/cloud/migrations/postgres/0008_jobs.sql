-- Jobs: rows of pg-boss (schema jobs, made by migrate before this file) that belong to the tenant whose transaction
-- added them. What a job says of itself is never asked: a trigger writes the tenant into group_id, the one column that
-- pg-boss carries along when a job is tried again or becomes a dead letter.

-- A login that works across tenants does so only while no tenant is set: within a tenant's transaction it sees that
-- tenant, like everybody else.
create or replace function isolate_by_tenant(t regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format('create policy tenant_isolation on %s
    using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
    with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  execute format('create policy owner_all on %s to hf_migrate using (true) with check (true)', t);
  execute format('create policy system_all on %s to hf_system
    using (nullif(current_setting(''app.tenant_id'', true), '''') is null)
    with check (nullif(current_setting(''app.tenant_id'', true), '''') is null)', t);
end $$;

do $$
declare
  t regclass;
begin
  for t in select polrelid from pg_policy where polname = 'system_all' loop
    execute format('alter policy system_all on %s
      using (nullif(current_setting(''app.tenant_id'', true), '''') is null)
      with check (nullif(current_setting(''app.tenant_id'', true), '''') is null)', t);
  end loop;
end $$;

create function jobs.stamp_tenant() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  tenant text := nullif(current_setting('app.tenant_id', true), '')::uuid::text;
begin
  if tenant is not null then
    new.group_id := tenant;
    -- Keys that keep a job from being there twice are a tenant's own, or one tenant's job would keep out another's.
    new.singleton_key := concat_ws('/', tenant, new.singleton_key);
  elsif new.state = 'created' and new.source_id is null then
    -- Neither tried again nor a dead letter: nobody's, whatever it says.
    new.group_id := null;
  end if;
  return new;
end $$;
create trigger job_tenant before insert on jobs.job for each row execute function jobs.stamp_tenant();

-- Both names of the one table: row security of a partitioned table does not hold for its partitions.
do $$
declare
  t text;
begin
  foreach t in array array['jobs.job', 'jobs.job_common'] loop
    execute format('alter table %s enable row level security', t);
    execute format('alter table %s force row level security', t);
    execute format('create policy tenant_isolation on %s
      using (group_id = nullif(current_setting(''app.tenant_id'', true), ''''))
      with check (group_id = nullif(current_setting(''app.tenant_id'', true), ''''))', t);
    execute format('create policy owner_all on %s to hf_migrate using (true) with check (true)', t);
    execute format('create policy system_all on %s to hf_system
      using (nullif(current_setting(''app.tenant_id'', true), '''') is null)
      with check (nullif(current_setting(''app.tenant_id'', true), '''') is null)', t);
  end loop;
end $$;

revoke execute on all functions in schema jobs from public;
grant usage on schema jobs to hf_api, hf_storage, hf_system;
grant execute on function jobs.job_now() to hf_api, hf_storage;
grant execute on all functions in schema jobs to hf_system;

-- Who causes jobs may add them as new, and read nothing of them but the id that adding one returns.
grant select on jobs.queue, jobs.version to hf_api, hf_storage;
grant select (id) on jobs.job_common to hf_api, hf_storage;
grant insert (id, name, data, priority, start_after, created_on, singleton_key, singleton_on, group_id, group_tier,
  expire_seconds, deletion_seconds, keep_until, retry_limit, retry_delay, retry_backoff, retry_delay_max, policy,
  dead_letter, heartbeat_seconds, blocked, blocking, pending_dependencies) on jobs.job_common to hf_api, hf_storage;

-- Who does jobs. Whose a job is and what it is about cannot be changed.
grant select, insert, delete on jobs.job, jobs.job_common to hf_system;
grant update (state, priority, start_after, started_on, completed_on, heartbeat_on, retry_count, output, blocked,
  blocking, pending_dependencies) on jobs.job, jobs.job_common to hf_system;
grant select, insert, update on jobs.queue to hf_system;
grant select, update on jobs.version, jobs.schedule to hf_system;
grant select, delete on jobs.job_dependency to hf_system;

-- Where jobs go that failed for good; nothing works on it, operators look at it. 90 days.
select jobs.create_queue('dead', '{"policy": "standard", "retentionSeconds": 7776000}');
-- Forgetting what has expired: once a minute one job for the whole installation, which makes one for each tenant.
select jobs.create_queue('expired/everywhere', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 3,
  "retryDelay": 5, "retryBackoff": true, "expireInSeconds": 300, "heartbeatSeconds": 60, "deleteAfterSeconds": 3600}');
select jobs.create_queue('expired/tenant', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 5,
  "retryDelay": 5, "retryBackoff": true, "retryDelayMax": 600, "expireInSeconds": 120, "heartbeatSeconds": 60,
  "deleteAfterSeconds": 3600}');
insert into jobs.schedule (name, kind, cron, timezone, data) values ('expired/everywhere', 'cron', '* * * * *', 'UTC', '{}');

-- Guarantees: a job's tenant is that of the transaction that added it; a login that adds jobs reads no job's content.
