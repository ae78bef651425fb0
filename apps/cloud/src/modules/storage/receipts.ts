import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import type { Clock } from '@holdfast/base';
import type { ReceiptClaims } from '@holdfast/contract';
import type { Kms } from '../../platform/kms.ts';
import type { Database } from '../../platform/postgres.ts';
import * as store from './store.ts';

/** Signs receipts: what a device can show to prove that the server had its records. */
export type ReceiptSigner = {
  /** The key that verifies them: its id and the 32 bytes of an Ed25519 key, base64url. */
  readonly key: { readonly keyId: string; readonly x: string };
  /** A JWS (RFC 7515, compact) over the claims. */
  sign(claims: ReceiptClaims): string;
};

const purpose = 'receipt-key';

/** Opens the installation's receipt key, and makes it the first time. */
export async function openReceiptSigner(deps: {
  readonly database: Database;
  readonly kms: Kms;
  readonly clock: Clock;
}): Promise<ReceiptSigner> {
  const { database, kms, clock } = deps;
  const find = () => database.withoutTenant((tx) => store.findReceiptKey(tx));
  let row = await find();
  if (!row) {
    const made = await makeKey(kms, new Date(clock.now()));
    await database.withoutTenant((tx) => store.insertReceiptKey(tx, made));
    row = (await find())!;
  }
  const secret = await kms.unwrap(row.wrapped_private_key, { purpose });
  const privateKey = createPrivateKey({ key: Buffer.from(secret), type: 'pkcs8', format: 'der' });
  const { key_id: keyId, public_key: x } = row;
  const head = base64url(JSON.stringify({ alg: 'EdDSA', typ: 'holdfast-receipt+jwt', kid: keyId }));
  return {
    key: { keyId, x },
    sign(claims) {
      const signed = `${head}.${base64url(JSON.stringify(claims))}`;
      return `${signed}.${sign(undefined, Buffer.from(signed), privateKey).toString('base64url')}`;
    },
  };
}

async function makeKey(kms: Kms, at: Date) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const wrapped = await kms.wrap(privateKey.export({ type: 'pkcs8', format: 'der' }), { purpose });
  return { key_id: x.slice(0, 16), public_key: x, wrapped_private_key: wrapped, created_at: at };
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
