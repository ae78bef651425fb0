-- Keys of the Kms edge that wrap nothing any more: nothing is stored that names one, so that they can be removed for good.

create table retired_keys (
  key_id text primary key,
  retired_at timestamptz not null
);

-- Reads the key a wrapped secret names: hfw1.KEY.ROLE.BYTES. Its argument is the name of the column.
create function refuse_retired_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from public.retired_keys k where k.key_id = split_part(to_jsonb(new) ->> tg_argv[0], '.', 2)) then
    raise exception '% of % is wrapped with a retired key', tg_argv[0], tg_relid::regclass
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;

-- For every column that holds wrapped secrets; wrapped-columns.ts lists them, and a test compares.
create function guard_wrapped(t regclass, wrapped_column text) returns void language plpgsql as $$
begin
  execute format('create trigger %I before insert or update of %I on %s
    for each row execute function refuse_retired_key(%L)', 'guard_' || wrapped_column, wrapped_column, t, wrapped_column);
end $$;
select guard_wrapped('log_keys', 'wrapped_private_key');
select guard_wrapped('escrow_keys', 'wrapped_log_sealing_key');
select guard_wrapped('keystore.tenant_keys', 'wrapped_sealing_key');
select guard_wrapped('keystore.tenant_keys', 'wrapped_signing_key');
select guard_wrapped('token_keys', 'wrapped_private_key');
select guard_wrapped('receipt_keys', 'wrapped_private_key');
select guard_wrapped('shared_secrets', 'wrapped');

-- Guarantees: no row that any login adds or changes names a retired key; no login but hf_migrate retires one.
