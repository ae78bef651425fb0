-- Taking over: a new computer goes on with the archive of an old one, by a proof that is used once.

-- The keys that recovery codes prove themselves with, as the slots of each keyring have them: public, and of one keyring, so
-- that a code that was struck is in none of the newest.
create table takeover_keys (
  tenant_id uuid not null,
  archive_id uuid not null,
  keyring_sha256 text not null check (keyring_sha256 ~ '^[0-9a-f]{64}$'),
  public_key text not null,
  primary key (tenant_id, archive_id, keyring_sha256, public_key),
  foreign key (tenant_id, archive_id) references archives (tenant_id, archive_id)
);
create index on takeover_keys (tenant_id, public_key);
select isolate_by_tenant('takeover_keys');
grant select, insert on takeover_keys to hf_storage;
grant select on takeover_keys to hf_api;

create table takeovers (
  tenant_id uuid not null,
  takeover_id uuid not null,
  archive_id uuid not null,
  old_device_id uuid not null,
  new_device_id uuid not null,
  -- The proof as it was signed, and what makes it one of a kind.
  proof text not null,
  signer_key text not null,
  proof_id text not null,
  begun_at timestamptz not null,
  expires_at timestamptz not null,
  completed_at timestamptz,
  primary key (tenant_id, takeover_id),
  unique (tenant_id, signer_key, proof_id),
  foreign key (tenant_id, archive_id) references archives (tenant_id, archive_id),
  foreign key (tenant_id, old_device_id) references devices (tenant_id, device_id),
  foreign key (tenant_id, new_device_id) references devices (tenant_id, device_id)
);
create index on takeovers (tenant_id, archive_id);
create index on takeovers (tenant_id, old_device_id);
select isolate_by_tenant('takeovers');
grant select, insert on takeovers to hf_api;
grant update (expires_at, completed_at) on takeovers to hf_api;
grant select on takeovers to hf_storage;

alter table archives
  -- Who may sign the next keyring though no writer before introduces it: the writer of the last takeover. Base64url.
  add column next_writer_key text,
  -- What is older than that is held for one hold more, once the server lets anything go.
  add column taken_over_at timestamptz;
-- The session ends with the owner: what the old one still sends is refused when it is to be acknowledged.
grant update (device_id, session_epoch, next_writer_key, taken_over_at, modified_at) on archives to hf_api;

-- Guarantees: an archive belongs to one device at a time, and no login removes an archive; a proof is used for one takeover
-- at most; which takeovers there were is never removed.
