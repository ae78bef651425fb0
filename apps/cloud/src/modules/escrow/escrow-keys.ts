import { systemRandom, type Clock, type Random } from '@holdfast/base';
import {
  escrowKeysSha256,
  formatEscrowKeys,
  hpkeKeyId,
  importHpkeKey,
  parseEscrowKeys,
  type HpkeKey,
} from '@holdfast/trust';
import type { Keystore } from '../../keystore/operations.ts';
import type { Kms } from '../../platform/kms.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { findLogVerifier } from '../logs/index.ts';
import * as store from './store.ts';

/** What the wrapped log sealing key is for: bound into its wrapping. */
export const logSealingKeyPurpose = 'log-sealing-key';

/** What making escrow keys needs. */
export type EscrowDeps = {
  readonly installationId: string;
  /** The `Kms` of the role api. */
  readonly kms: Kms;
  readonly keystore: Pick<Keystore, 'makeTenantKeys'>;
  readonly random?: Random;
};

/** Escrow keys, ready to be stored. */
export type PreparedEscrowKeys = {
  readonly number: number;
  /** `TenantEscrowKeys` as text. */
  readonly document: string;
  readonly wrappedLogSealingKey: string;
};

/**
 * Makes the first escrow keys of a tenant: the log's half here, the keystore's half there. Nothing is stored here yet.
 *
 * Whoever stores them does so in a transaction of its own, for the keystore is elsewhere. The keystore answers the same when
 * asked again, so what was cut off between the two is just done anew.
 * @throws keystore.away, keystore.other_log
 */
export async function prepareEscrowKeys(
  { installationId, kms, keystore, random = systemRandom }: EscrowDeps,
  { tenantId, logVerifier }: { readonly tenantId: string; readonly logVerifier: string },
): Promise<PreparedEscrowKeys> {
  const { number, keystoreKey, keystoreVerifier } = await keystore.makeTenantKeys({ tenantUid: tenantId, logVerifier });
  const secret = random(32);
  try {
    const logSealingKey = Buffer.from(importHpkeKey(secret).publicKey).toString('base64url');
    const keys = { keystoreKey, keystoreVerifier, logSealingKey };
    const document = formatEscrowKeys({ version: 1, installationId, tenantUid: tenantId, number, ...keys });
    return {
      number,
      document,
      wrappedLogSealingKey: await kms.wrap(secret, { purpose: logSealingKeyPurpose, tenantId }),
    };
  } finally {
    secret.fill(0);
  }
}

/** Stores escrow keys and says so in the key log, both or neither; false when the tenant has those of that number. Call it last. */
export async function addEscrowKeys(
  tx: TenantTx,
  { tenantId, at }: { readonly tenantId: string; readonly at: Date },
  { number, document, wrappedLogSealingKey }: PreparedEscrowKeys,
): Promise<boolean> {
  const row = { tenant_id: tenantId, number, document, wrapped_log_sealing_key: wrappedLogSealingKey, created_at: at };
  if (!(await store.insertKeys(tx, row))) return false;
  const sha256 = escrowKeysSha256(document);
  await appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'escrow_keys_set', number, sha256 });
  return true;
}

/** Gives a tenant its escrow keys where it has none; says whether it was given some. @throws keystore.away, keystore.other_log */
export async function ensureEscrowKeys(
  deps: EscrowDeps & { readonly system: Database; readonly clock: Clock },
  tenantId: string,
): Promise<boolean> {
  const { system, clock } = deps;
  const found = await system.withTenant(tenantId, async (tx) => ({
    keys: await store.findNewestKeys(tx, tenantId),
    logVerifier: await findLogVerifier(tx, tenantId),
  }));
  if (found.keys) return false;
  const prepared = await prepareEscrowKeys(deps, { tenantId, logVerifier: found.logVerifier });
  const at = new Date(clock.now());
  return system.withTenant(tenantId, (tx) => addEscrowKeys(tx, { tenantId, at }, prepared));
}

/** The two public keys that an escrow slot is sealed to, by `hpkeKeyId` (hex). */
export type EscrowKeyIds = { readonly outerKeyId: string; readonly innerKeyId: string };

/** To which keys an escrow slot of a tenant may be sealed: those of any of its documents. */
export async function listEscrowKeyIds(tx: TenantTx, tenantId: string): Promise<readonly EscrowKeyIds[]> {
  const documents = await store.listDocuments(tx, tenantId);
  return documents.map((document) => {
    const { logSealingKey, keystoreKey } = parseEscrowKeys(document);
    const keyIdOf = (key: string) => hpkeKeyId(Buffer.from(key, 'base64url')).toHex();
    return { outerKeyId: keyIdOf(logSealingKey), innerKeyId: keyIdOf(keystoreKey) };
  });
}

/**
 * The private half of the log sealing key with an id (`hpkeKeyId`, hex); undefined where the tenant has none.
 *
 * With it the outer layer of an escrow slot is opened: only in a transaction in which the leaf of the release stands.
 */
export async function openLogSealingKey(
  { database, kms }: { readonly database: Database; readonly kms: Kms },
  { tenantId, keyId }: { readonly tenantId: string; readonly keyId: string },
): Promise<HpkeKey | undefined> {
  const rows = await database.withTenant(tenantId, (tx) => store.listSealingKeys(tx, tenantId));
  const row = rows.find(({ document }) => {
    const { logSealingKey } = parseEscrowKeys(document);
    return hpkeKeyId(Buffer.from(logSealingKey, 'base64url')).toHex() === keyId;
  });
  if (!row) return undefined;
  const secret = await kms.unwrap(row.wrapped_log_sealing_key, { purpose: logSealingKeyPurpose, tenantId });
  try {
    return importHpkeKey(secret);
  } finally {
    secret.fill(0);
  }
}

/** The document of a tenant's escrow keys in force; undefined before they are made. */
export async function findEscrowKeys(tx: TenantTx, tenantId: string): Promise<string | undefined> {
  return (await store.findNewestKeys(tx, tenantId))?.document;
}
