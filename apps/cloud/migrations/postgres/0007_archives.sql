-- What the storage role knows of archives besides the bytes themselves.

create table archives (
  tenant_id uuid not null,
  -- The first 16 bytes of the SHA-256 of the header record.
  archive_id uuid not null,
  device_id uuid not null,
  -- The newest session; whoever holds an older one is fenced off.
  session_epoch bigint not null,
  next_fragment bigint not null,
  -- Head, newest keyring, last fragments and live set, as the log's own functions keep them.
  log_state jsonb not null,
  -- Up to where the archive's folder was on stable storage with that; null before the first record.
  position jsonb,
  -- Bytes of records that count against the quota.
  stored_bytes bigint not null,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  primary key (tenant_id, archive_id),
  unique (tenant_id, device_id),
  foreign key (tenant_id, device_id) references devices (tenant_id, device_id)
);
select isolate_by_tenant('archives');
grant select, insert on archives to hf_storage;
grant update (session_epoch, next_fragment, log_state, position, stored_bytes, modified_at) on archives to hf_storage;
grant select on archives to hf_api, hf_system;

-- Keys that sign receipts.
create table receipt_keys (
  key_id text primary key,
  public_key text not null,
  -- Wrapped by the Kms edge for the role storage.
  wrapped_private_key text not null,
  created_at timestamptz not null
);
grant select, insert on receipt_keys to hf_storage;

-- Guarantees: an archive belongs to one device for good; no login removes an archive.
