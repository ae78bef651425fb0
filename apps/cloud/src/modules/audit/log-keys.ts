import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { formatVerifierKey, noteSigner, type NoteSigner } from '@holdfast/trust';
import type { Kms } from '../../platform/kms.ts';
import type { IoContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import * as store from './store.ts';

const purpose = 'log-key';

/** The name of a tenant's audit log: the first line of its heads and the name of the keys that sign them. */
export function auditOrigin(installationId: string, tenantId: string): string {
  return `holdfast/${installationId}/${tenantId}/audit`;
}

/** A key that signs heads, ready to be stored. */
export type NewLogKey = { readonly verifier: string; readonly wrappedPrivateKey: string };

/** Makes the key of a tenant's log; its private half leaves this function wrapped only. */
export async function makeLogKey(kms: Kms, installationId: string, tenantId: string): Promise<NewLogKey> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = noteSigner(auditOrigin(installationId, tenantId), privateKey);
  const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    verifier: formatVerifierKey(signer.key),
    wrappedPrivateKey: await kms.wrap(secret, { purpose, tenantId }),
  };
}

/** Opens a stored key for signing. */
export async function openLogKey(
  kms: Kms,
  origin: string,
  stored: { readonly tenantId: string; readonly wrappedPrivateKey: string },
): Promise<NoteSigner> {
  const secret = await kms.unwrap(stored.wrappedPrivateKey, { purpose, tenantId: stored.tenantId });
  return noteSigner(origin, createPrivateKey({ key: Buffer.from(secret), type: 'pkcs8', format: 'der' }));
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
  return openLogKey(kms, auditOrigin(installationId, tenantId), stored);
}

/** The verifier key in force of a tenant's log, as text: what agents pin. */
export async function findLogVerifier(tx: TenantTx, tenantId: string): Promise<string> {
  const key = await store.findLogKey(tx, tenantId);
  if (!key) throw new Error('a tenant has no log key');
  return key.verifier;
}
