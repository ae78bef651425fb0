import { createPrivateKey } from 'node:crypto';
import type { Random } from '@holdfast/base';
import {
  formatVerifierKey,
  importHpkeKey,
  keystoreKeyName,
  logKeyName,
  noteSigner,
  parseVerifierKey,
} from '@holdfast/trust';
import { z } from 'zod';
import type { Kms } from '../platform/kms.ts';
import { defineOperation, TenantUid } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import * as store from './store.ts';

/** What wrapped keys of a tenant are for: bound into the wrapping of each. */
export const tenantKeyPurposes = { sealing: 'keystore-key', signing: 'keystore-signing-key' } as const;

/** Public halves of a tenant's keys. */
export const TenantPublicKeys = z.strictObject({
  /** Counts from 1. */
  number: z.number().int().min(1),
  /** X25519, 32 bytes, base64url. */
  keystoreKey: z.string(),
  /** Verifier key of what the keystore states. */
  keystoreVerifier: z.string(),
});
export type TenantPublicKeys = z.infer<typeof TenantPublicKeys>;

/**
 * Makes the keys of a tenant, once, and keeps the verifier key of its log: what the keystore believes of it from then on.
 *
 * Asked again with the same log it answers the same. The log key cannot be exchanged by asking.
 * @throws keystore.other_log, keystore.unknown_form
 */
export const makeTenantKeys = defineOperation({
  request: z.strictObject({ tenantUid: TenantUid, logVerifier: z.string().max(400) }),
  reply: TenantPublicKeys,
  maxBodyBytes: 4_096,
  isRepeatable: true,
  async work({ installationId, database, kms, clock, random }, { tenantUid: tenantId, logVerifier }) {
    if (!isVerifierOf(logVerifier, logKeyName(installationId, tenantId)))
      throw keystoreErrors.unknown_form({ field: 'logVerifier' });
    const find = () => database.withTenant(tenantId, (tx) => findKeys(tx, { tenantId, logVerifier }));
    const found = await find();
    if (found) return found;
    const made = await makeKeys(kms, random, { tenantId, name: keystoreKeyName(installationId, tenantId) });
    const at = new Date(clock.now());
    await database.withTenant(tenantId, async (tx) => {
      const anchor = { tenant_id: tenantId, log_verifier: logVerifier, created_at: at };
      // Somebody else may have made them at this moment: whoever keeps the log's key makes the keys.
      if (!(await store.insertLogAnchor(tx, anchor))) return;
      await store.insertTenantKeys(tx, { tenant_id: tenantId, number: 1, ...made, created_at: at });
    });
    return (await find())!;
  },
});

async function findKeys(
  tx: Parameters<typeof store.listPublicKeys>[0],
  { tenantId, logVerifier }: { readonly tenantId: string; readonly logVerifier: string },
): Promise<TenantPublicKeys | undefined> {
  const known = await store.findLogVerifier(tx, tenantId);
  if (known === undefined) return undefined;
  if (known !== logVerifier) throw keystoreErrors.other_log();
  return (await store.listPublicKeys(tx, tenantId)).map(publicKeysOf).at(-1);
}

/** A row as callers see it. */
export function publicKeysOf(row: { number: number; sealing_key: Buffer; verifier: string }): TenantPublicKeys {
  const { number, sealing_key: key, verifier: keystoreVerifier } = row;
  return { number, keystoreKey: key.toString('base64url'), keystoreVerifier };
}

/** DER of an Ed25519 private key up to its 32 bytes (RFC 8410). */
export const pkcs8Head = Uint8Array.fromHex('302e020100300506032b657004220420');

/** Makes both keys; the private halves leave this function wrapped only, and are overwritten. */
async function makeKeys(kms: Kms, random: Random, { tenantId, name }: { tenantId: string; name: string }) {
  const [sealingSecret, signingSecret] = [random(32), random(32)];
  const der = Buffer.concat([pkcs8Head, signingSecret]);
  try {
    const { key: verifier } = noteSigner(name, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    return {
      sealing_key: importHpkeKey(sealingSecret).publicKey,
      wrapped_sealing_key: await kms.wrap(sealingSecret, { purpose: tenantKeyPurposes.sealing, tenantId }),
      verifier: formatVerifierKey(verifier),
      wrapped_signing_key: await kms.wrap(signingSecret, { purpose: tenantKeyPurposes.signing, tenantId }),
    };
  } finally {
    for (const secret of [sealingSecret, signingSecret, der]) secret.fill(0);
  }
}

/** Whether a text is a key of this name. */
function isVerifierOf(text: string, name: string): boolean {
  try {
    return parseVerifierKey(text).name === name;
  } catch {
    return false;
  }
}
