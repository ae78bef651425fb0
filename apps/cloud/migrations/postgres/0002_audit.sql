-- The audit log: entries that can be added and read, and a Merkle tree over them (RFC 9162) kept at commit.

create table audit_entries (
  tenant_id uuid not null references tenants,
  entry_id uuid not null,
  -- Canonical JSON (RFC 8785); its UTF-8 bytes are what the leaf is the hash of. The columns below only repeat it.
  entry text not null check (octet_length(entry) <= 1048576),
  occurred_at text not null generated always as (entry::jsonb ->> 'occurredAt') stored,
  event_type text not null generated always as (entry::jsonb ->> 'eventType') stored,
  outcome text not null generated always as (entry::jsonb ->> 'outcome') stored,
  actor_kind text not null generated always as (entry::jsonb -> 'actor' ->> 'kind') stored,
  actor_id text not null generated always as (entry::jsonb -> 'actor' ->> 'id') stored,
  primary key (tenant_id, entry_id)
);

-- The place of each entry in the log, from 0 without a gap.
create table audit_leaves (
  tenant_id uuid not null,
  log_index bigint not null,
  entry_id uuid not null,
  primary key (tenant_id, log_index),
  unique (tenant_id, entry_id),
  foreign key (tenant_id, entry_id) references audit_entries (tenant_id, entry_id)
);

-- Roots of perfect subtrees: the node over leaves [node_index * 2^level, (node_index + 1) * 2^level).
create table audit_nodes (
  tenant_id uuid not null,
  level smallint not null,
  node_index bigint not null,
  hash bytea not null check (octet_length(hash) = 32),
  primary key (tenant_id, level, node_index)
);

-- The end of the log: its size, and the roots of its perfect subtrees, largest first.
create table audit_heads (
  tenant_id uuid primary key references tenants,
  tree_size bigint not null,
  peaks bytea[] not null
);

-- Heads as signed notes, for keeping elsewhere: what they cover cannot be shortened or rewritten unnoticed.
create table audit_signed_heads (
  tenant_id uuid not null references tenants,
  tree_size bigint not null,
  signed_at timestamptz not null,
  note text not null,
  -- The key that verifies the note, as a C2SP verifier key.
  verifier text not null,
  primary key (tenant_id, tree_size)
);

-- The keys a tenant's log heads are signed with, newest in force.
create table log_keys (
  tenant_id uuid not null references tenants,
  verifier text not null,
  -- Wrapped by the Kms edge: names its key id and the role that may open it.
  wrapped_private_key text not null,
  created_at timestamptz not null,
  primary key (tenant_id, verifier)
);

select isolate_by_tenant('audit_entries');
select isolate_by_tenant('audit_leaves');
select isolate_by_tenant('audit_nodes');
select isolate_by_tenant('audit_heads');
select isolate_by_tenant('audit_signed_heads');
select isolate_by_tenant('log_keys');
grant select, insert on audit_entries to hf_api, hf_system, hf_storage, hf_ingest;
grant select on audit_leaves, audit_nodes, audit_heads to hf_api, hf_system;
grant select, insert on audit_signed_heads to hf_api, hf_system;
grant select, insert on log_keys to hf_api, hf_system;

-- Appends one entry's leaf. Deferred to the end of the transaction, so that the head is locked last and briefly.
create function chain_audit_entry() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  log_size bigint;
  log_peaks bytea[];
  node bytea := sha256('\x00'::bytea || convert_to(new.entry, 'UTF8'));
  node_at bigint;
  node_level smallint := 0;
begin
  select h.tree_size, h.peaks into log_size, log_peaks
    from audit_heads h where h.tenant_id = new.tenant_id for update;
  if not found then
    insert into audit_heads (tenant_id, tree_size, peaks) values (new.tenant_id, 0, '{}') on conflict do nothing;
    select h.tree_size, h.peaks into strict log_size, log_peaks
      from audit_heads h where h.tenant_id = new.tenant_id for update;
  end if;
  insert into audit_leaves (tenant_id, log_index, entry_id) values (new.tenant_id, log_size, new.entry_id);
  insert into audit_nodes (tenant_id, level, node_index, hash) values (new.tenant_id, 0, log_size, node);
  node_at := log_size;
  -- An odd node has its left sibling among the peaks, and the two make the next level.
  while node_at % 2 = 1 loop
    node := sha256('\x01'::bytea || log_peaks[cardinality(log_peaks)] || node);
    log_peaks := trim_array(log_peaks, 1);
    node_at := node_at / 2;
    node_level := node_level + 1;
    insert into audit_nodes (tenant_id, level, node_index, hash) values (new.tenant_id, node_level, node_at, node);
  end loop;
  update audit_heads h set tree_size = log_size + 1, peaks = log_peaks || node where h.tenant_id = new.tenant_id;
  return null;
end $$;
create constraint trigger audit_entries_chained after insert on audit_entries
  deferrable initially deferred for each row execute function chain_audit_entry();

-- The tenants whose log has grown since its head was last signed; names nothing but them.
create function tenants_with_unsigned_heads() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select h.tenant_id from public.audit_heads h
  where h.tree_size > coalesce(
    (select max(s.tree_size) from public.audit_signed_heads s where s.tenant_id = h.tenant_id), 0)
$$;
grant execute on function tenants_with_unsigned_heads() to hf_api, hf_system;

-- Guarantees: no login can change or remove an entry, leaf, node or signed head; every committed entry has a leaf.
