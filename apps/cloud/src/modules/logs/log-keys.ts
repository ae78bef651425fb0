import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { formatVerifierKey, keyLogOrigin, logKeyName, noteSigner, type NoteSigner } from '@holdfast/trust';
import type { Kms } from '../../platform/kms.ts';
import type { IoContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import * as store from './store.ts';

const purpose = 'log-key';

/** The name of a log: the first line of its heads, by which a head of one log is never taken for one of another. */
export function originOf(installationId: string, { tenantId, log }: store.TenantLog): string {
  return log === 'key' ? keyLogOrigin(installationId, tenantId) : logKeyName(installationId, tenantId);
}

/** A key that signs heads, ready to be stored. */
export type NewLogKey = { readonly verifier: string; readonly wrappedPrivateKey: string };

/** Makes the key of a tenant's logs; its private half leaves this function wrapped only. */
export async function makeLogKey(kms: Kms, installationId: string, tenantId: string): Promise<NewLogKey> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = noteSigner(logKeyName(installationId, tenantId), privateKey);
  const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    verifier: formatVerifierKey(signer.key),
    wrappedPrivateKey: await kms.wrap(secret, { purpose, tenantId }),
  };
}

/** Opens a stored key for signing. */
export async function openLogKey(
  kms: Kms,
  keyName: string,
  stored: { readonly tenantId: string; readonly wrappedPrivateKey: string },
): Promise<NoteSigner> {
  const secret = await kms.unwrap(stored.wrappedPrivateKey, { purpose, tenantId: stored.tenantId });
  return noteSigner(keyName, createPrivateKey({ key: Buffer.from(secret), type: 'pkcs8', format: 'der' }));
}

/** Opens the key in force of the caller's tenant, for signing what must never read as a head. */
export async function openLogSigner({
  kms,
  installationId,
  tenantId,
  transact,
}: IoContext<{ readonly kms: Kms; readonly installationId: string }>): Promise<NoteSigner> {
  const key = await transact(({ tx }) => store.findLogKey(tx, tenantId));
  if (!key) throw new Error('a tenant has no log key');
  const stored = { tenantId, wrappedPrivateKey: key.wrapped_private_key };
  return openLogKey(kms, logKeyName(installationId, tenantId), stored);
}

/** The verifier key in force of a tenant's logs, as text: what agents pin. */
export async function findLogVerifier(tx: TenantTx, tenantId: string): Promise<string> {
  const key = await store.findLogKey(tx, tenantId);
  if (!key) throw new Error('a tenant has no log key');
  return key.verifier;
}
