-- Keys that sign tokens, and what makes a proof usable once.

create table token_keys (
  key_id text primary key,
  public_jwk jsonb not null,
  -- Wrapped by the Kms edge for the role api.
  wrapped_private_key text not null,
  created_at timestamptz not null,
  -- Signs from here on; published earlier, so that every node knows it by then.
  signs_from timestamptz not null,
  signs_until timestamptz not null,
  -- Verifies until here: the last token it signed has expired by then.
  verifies_until timestamptz not null
);
grant select, insert on token_keys to hf_api;
grant select (key_id, public_jwk, created_at, signs_from, signs_until, verifies_until) on token_keys
  to hf_storage, hf_ingest, hf_system;
grant delete on token_keys to hf_system;

-- Secrets all nodes of some roles share; each is wrapped for one role.
create table shared_secrets (
  name text not null,
  role text not null,
  wrapped text not null,
  created_at timestamptz not null,
  primary key (name, role)
);
grant select, insert on shared_secrets to hf_api, hf_storage, hf_ingest, hf_system;

-- Identifiers of proofs and assertions already used, by any node, until they would have expired anyway.
create table used_proofs (
  tenant_id uuid not null references tenants,
  proof_sha256 bytea not null check (octet_length(proof_sha256) = 32),
  expires_at timestamptz not null,
  primary key (tenant_id, proof_sha256)
);
select isolate_by_tenant('used_proofs');
grant select, insert on used_proofs to hf_api, hf_storage, hf_ingest;
grant select, delete on used_proofs to hf_system;

-- Guarantees: a proof is accepted once over all nodes; only hf_api reads a wrapped signing key.
