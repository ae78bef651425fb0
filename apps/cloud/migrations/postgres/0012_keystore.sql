-- The keystore's own schema, and the documents of each tenant's escrow keys.

create schema keystore;
grant usage on schema keystore to hf_keystore;

-- What the keystore believes of a tenant's log: given once, with the tenant's keys. No login replaces it.
create table keystore.log_anchors (
  tenant_id uuid primary key,
  -- The verifier key of the tenant's log.
  log_verifier text not null,
  created_at timestamptz not null
);

-- The keys that the keystore keeps for a tenant, newest in force. Their private halves are wrapped for the keystore alone.
create table keystore.tenant_keys (
  tenant_id uuid not null references keystore.log_anchors,
  number integer not null check (number >= 1),
  -- X25519, to which the inner layer of escrow slots is sealed.
  sealing_key bytea not null check (octet_length(sealing_key) = 32),
  wrapped_sealing_key text not null,
  -- Ed25519, for what the keystore states.
  verifier text not null,
  wrapped_signing_key text not null,
  created_at timestamptz not null,
  primary key (tenant_id, number)
);

-- No table of the keystore names one of the others', so that nothing follows from what other logins change.
select isolate_by_tenant('keystore.log_anchors');
select isolate_by_tenant('keystore.tenant_keys');
drop policy system_all on keystore.log_anchors;
drop policy system_all on keystore.tenant_keys;
grant select, insert on keystore.log_anchors, keystore.tenant_keys to hf_keystore;

-- A tenant's escrow keys as agents pin them: one document, public, for each time they were set.
create table escrow_keys (
  tenant_id uuid not null references tenants,
  number integer not null check (number >= 1),
  -- Canonical JSON (RFC 8785); the log says its SHA-256.
  document text not null check (octet_length(document) <= 2048),
  -- The private half of its log sealing key, wrapped for the role api.
  wrapped_log_sealing_key text not null,
  created_at timestamptz not null,
  primary key (tenant_id, number)
);
select isolate_by_tenant('escrow_keys');
grant select on escrow_keys to hf_api;
grant select, insert on escrow_keys to hf_system;

-- Guarantees: no login but hf_keystore, and hf_migrate as the owner, reaches the schema keystore, and hf_keystore reaches
-- nothing else; no login changes or removes an anchor, a key or a document.
