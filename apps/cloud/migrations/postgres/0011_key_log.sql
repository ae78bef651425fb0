-- The key log: who can open archives, and who could, as leaves that everybody concerned sees. It and the audit log are
-- trees of one kind, so what the audit log had alone gets the log's name into its keys.

alter table audit_nodes rename to log_nodes;
alter table audit_heads rename to log_heads;
alter table audit_signed_heads rename to log_signed_heads;
alter table log_nodes add column log text not null default 'audit' check (log in ('audit', 'key'));
alter table log_heads add column log text not null default 'audit' check (log in ('audit', 'key'));
alter table log_signed_heads add column log text not null default 'audit' check (log in ('audit', 'key'));
alter table log_nodes alter column log drop default;
alter table log_heads alter column log drop default;
alter table log_signed_heads alter column log drop default;
alter table log_nodes drop constraint audit_nodes_pkey, add primary key (tenant_id, log, level, node_index);
alter table log_heads drop constraint audit_heads_pkey, add primary key (tenant_id, log);
alter table log_signed_heads drop constraint audit_signed_heads_pkey, add primary key (tenant_id, log, tree_size);

-- Appends a leaf to a log of a tenant and returns its place. The head stays locked until the transaction ends.
create function append_log_leaf(of_log text, of_tenant uuid, leaf bytea) returns bigint
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
  log_size bigint;
  log_peaks bytea[];
  node bytea := sha256('\x00'::bytea || leaf);
  node_at bigint;
  node_level smallint := 0;
begin
  select h.tree_size, h.peaks into log_size, log_peaks
    from log_heads h where h.tenant_id = of_tenant and h.log = of_log for update;
  if not found then
    insert into log_heads (tenant_id, log, tree_size, peaks) values (of_tenant, of_log, 0, '{}') on conflict do nothing;
    select h.tree_size, h.peaks into strict log_size, log_peaks
      from log_heads h where h.tenant_id = of_tenant and h.log = of_log for update;
  end if;
  insert into log_nodes (tenant_id, log, level, node_index, hash) values (of_tenant, of_log, 0, log_size, node);
  node_at := log_size;
  -- An odd node has its left sibling among the peaks, and the two make the next level.
  while node_at % 2 = 1 loop
    node := sha256('\x01'::bytea || log_peaks[cardinality(log_peaks)] || node);
    log_peaks := trim_array(log_peaks, 1);
    node_at := node_at / 2;
    node_level := node_level + 1;
    insert into log_nodes (tenant_id, log, level, node_index, hash)
      values (of_tenant, of_log, node_level, node_at, node);
  end loop;
  update log_heads h set tree_size = log_size + 1, peaks = log_peaks || node
    where h.tenant_id = of_tenant and h.log = of_log;
  return log_size;
end $$;

-- Deferred to the end of the transaction, so that the head is locked last and briefly.
create or replace function chain_audit_entry() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into audit_leaves (tenant_id, log_index, entry_id) values
    (new.tenant_id, append_log_leaf('audit', new.tenant_id, convert_to(new.entry, 'UTF8')), new.entry_id);
  return null;
end $$;

-- The logs that have grown since their heads were last signed; names nothing but them.
drop function tenants_with_unsigned_heads();
create function logs_with_unsigned_heads() returns table (tenant_id uuid, log text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select h.tenant_id, h.log from public.log_heads h
  where h.tree_size > coalesce(
    (select max(s.tree_size) from public.log_signed_heads s where s.tenant_id = h.tenant_id and s.log = h.log), 0)
$$;
grant execute on function logs_with_unsigned_heads() to hf_api, hf_system;

create table key_log_leaves (
  tenant_id uuid not null references tenants,
  -- From 0 without a gap; whatever is inserted, the trigger sets it.
  log_index bigint not null,
  -- Canonical JSON (RFC 8785); the kind only repeats it.
  body text not null check (octet_length(body) <= 65536),
  kind text not null generated always as (body::jsonb ->> 'kind') stored,
  -- Of a leaf about a keyring: whether it was said already.
  keyring_sha256 text generated always as (body::jsonb ->> 'keyringSha256') stored,
  -- What the leaf is the hash of, and all see: SHA-256 of the body, then 16 bytes for each whom it is about.
  outline bytea not null check (octet_length(outline) in (48, 64, 80, 96, 112, 128, 144, 160)),
  primary key (tenant_id, log_index),
  check (substr(outline, 1, 32) = sha256(convert_to(body, 'UTF8')))
);

-- Whom a leaf is about, for finding the leaves of one; the outline says the same to whoever knows them.
create table key_log_subjects (
  tenant_id uuid not null,
  subject text not null,
  log_index bigint not null,
  primary key (tenant_id, subject, log_index),
  foreign key (tenant_id, log_index) references key_log_leaves (tenant_id, log_index)
);

-- The heads that the leaf of a day is the root over, by rising archive id, as canonical JSON.
create table key_log_daily_heads (
  tenant_id uuid not null references tenants,
  day text not null check (day ~ '^\d{4}-\d\d-\d\d$'),
  heads text not null,
  primary key (tenant_id, day)
);

select isolate_by_tenant('key_log_leaves');
select isolate_by_tenant('key_log_subjects');
select isolate_by_tenant('key_log_daily_heads');
grant insert (tenant_id, body, outline) on key_log_leaves to hf_api, hf_system;
grant select on key_log_leaves to hf_api, hf_system;
grant select, insert on key_log_subjects to hf_api, hf_system;
grant select, insert on key_log_daily_heads to hf_system;
grant select on key_log_daily_heads to hf_api;

-- At once, not at the end: whoever appends needs the place, and does it last, since the head is locked from then on.
create function place_key_log_leaf() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  new.log_index := append_log_leaf('key', new.tenant_id, new.outline);
  return new;
end $$;
create trigger key_log_leaf_placed before insert on key_log_leaves for each row execute function place_key_log_leaf();

-- All that the storage role does with the log: it says which slots the next keyring of an archive of this tenant has. The
-- leaf is written here, so that whoever has that login plants no other, and reads none. Its text is canonical JSON (RFC
-- 8785), its label that of `subject.archive` in the package trust. Returns whether it was `added`, was `known`, or is one of
-- `too_many` in a day: every leaf is read by every device of the tenant.
create function say_keyring_added(of_archive uuid, keyring_number bigint, keyring_sha256 bytea,
  slot_ids bytea[], slot_kinds int[], nonce bytea) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  of_tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  about text := 'archive:' || of_archive;
  slots text;
  text_of_leaf text;
  digest bytea;
  said_at timestamptz := now();
  place bigint;
begin
  -- One after the other, or two at once would pass the limit.
  perform from archives a where a.tenant_id = of_tenant and a.archive_id = of_archive for no key update;
  if not found then
    raise exception 'the tenant has no such archive' using errcode = 'invalid_parameter_value';
  end if;
  if exists (select from key_log_subjects s join key_log_leaves l using (tenant_id, log_index)
    where s.tenant_id = of_tenant and s.subject = about and l.keyring_sha256 = encode($3, 'hex')) then
    return 'known';
  end if;
  if exists (
    select from (
      select l.body from key_log_subjects s join key_log_leaves l using (tenant_id, log_index)
      where s.tenant_id = of_tenant and s.subject = about and l.keyring_sha256 is not null
      order by s.log_index desc offset 99 limit 1) hundredth
    where (hundredth.body::jsonb ->> 'at')::timestamptz > said_at - interval '1 day') then
    return 'too_many';
  end if;
  if not coalesce(keyring_number between 1 and 9007199254740991 and octet_length($3) = 32 and octet_length(nonce) = 16
    and cardinality(slot_ids) = cardinality(slot_kinds) and cardinality(slot_ids) <= 64
    and (select coalesce(bool_and(coalesce(octet_length(id) = 16 and kind >= 0, false)), true)
      from unnest(slot_ids, slot_kinds) as s(id, kind)), false) then
    raise exception 'it is no keyring' using errcode = 'invalid_parameter_value';
  end if;
  select coalesce(string_agg(format('{"slotId":"%s","slotKind":%s}', encode(id, 'hex'), kind), ',' order by nth), '')
    into slots from unnest(slot_ids, slot_kinds) with ordinality as s(id, kind, nth);
  text_of_leaf := format('{"archiveId":"%s","at":"%s","keyringNumber":%s,"keyringSha256":"%s","kind":"keyring_added","nonce":"%s","slots":[%s]}',
    of_archive, to_char(said_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), keyring_number, encode($3, 'hex'),
    rtrim(translate(encode(nonce, 'base64'), '+/', '-_'), '='), slots);
  digest := sha256(convert_to(text_of_leaf, 'UTF8'));
  insert into key_log_leaves (tenant_id, body, outline) values (of_tenant, text_of_leaf,
    digest || substr(sha256('holdfast v1 key log subject'::bytea || '\x00'::bytea || digest || convert_to(about, 'UTF8')), 1, 16))
    returning log_index into place;
  insert into key_log_subjects (tenant_id, subject, log_index) values (of_tenant, about, place);
  return 'added';
end $$;
grant execute on function say_keyring_added(uuid, bigint, bytea, bytea[], int[], bytea) to hf_storage;

-- Once a day the heads of all archives of a tenant are one leaf. It is looked at every hour, and done by the first of a
-- day that runs: a server that was off at the hour still writes it.
select jobs.create_queue('key_log/everywhere', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 3,
  "retryDelay": 5, "retryBackoff": true, "expireInSeconds": 300, "heartbeatSeconds": 60, "deleteAfterSeconds": 3600}');
select jobs.create_queue('key_log/tenant', '{"policy": "exclusive", "deadLetter": "dead", "retryLimit": 5,
  "retryDelay": 5, "retryBackoff": true, "retryDelayMax": 600, "expireInSeconds": 300, "heartbeatSeconds": 60,
  "deleteAfterSeconds": 3600}');
insert into jobs.schedule (name, kind, cron, timezone, data) values ('key_log/everywhere', 'cron', '7 * * * *', 'UTC', '{}');

-- Guarantees: no login can change or remove a leaf, node or signed head of either log; every leaf has the place that the
-- tree gave it, and its entry is the hash of its body; the storage role adds leaves of keyrings alone; a day has one leaf of heads at most.
