-- What witnesses outside of this system answered to signed heads of tenants' key logs.

-- A cosignature that was checked: one for each head of a log and each witness.
create table log_cosignatures (
  tenant_id uuid not null references tenants,
  -- The witness's key, as it is handed on.
  witness text not null check (octet_length(witness) between 1 and 1024),
  tree_size bigint not null check (tree_size > 0),
  -- By the clock of the witness, which signed it.
  cosigned_at timestamptz not null,
  -- The signature line, without its newline; the head itself is in log_signed_heads.
  line text not null check (octet_length(line) between 1 and 2048),
  received_at timestamptz not null,
  primary key (tenant_id, witness, tree_size)
);

-- A witness has seen another log of a tenant, or a longer one, than there is here.
create table log_witness_faults (
  tenant_id uuid not null references tenants,
  witness text not null check (octet_length(witness) between 1 and 1024),
  fault text not null check (fault in ('set_back', 'forked')),
  -- How long the log is of which the witness knows.
  witness_size bigint not null check (witness_size >= 0),
  -- The size of the head that it was shown.
  tree_size bigint not null,
  found_at timestamptz not null,
  primary key (tenant_id, witness, fault, witness_size)
);

select isolate_by_tenant('log_cosignatures');
select isolate_by_tenant('log_witness_faults');
grant select, insert on log_cosignatures, log_witness_faults to hf_api;
grant select on log_cosignatures, log_witness_faults to hf_system;

-- The tenants from a place on, by rising id, whose newest signed head of the key log a witness has not cosigned; names
-- nothing but them. The sizes are read from the ends of the keys: a look at each tenant, whatever its logs have grown to.
create function key_logs_without_cosignature(of_witness text, after_tenant uuid, at_most int) returns table (tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select h.tenant_id from public.log_heads h
  where h.log = 'key' and h.tenant_id > after_tenant
    and coalesce((select max(s.tree_size) from public.log_signed_heads s
        where s.tenant_id = h.tenant_id and s.log = 'key'), 0)
      > coalesce((select max(c.tree_size) from public.log_cosignatures c
        where c.tenant_id = h.tenant_id and c.witness = of_witness), 0)
  order by h.tenant_id limit at_most
$$;
grant execute on function key_logs_without_cosignature(text, uuid, int) to hf_api;

-- Guarantees: no login changes or removes a cosignature, or that a witness has seen another log.
