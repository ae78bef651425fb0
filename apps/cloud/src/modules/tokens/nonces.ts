import { createHmac, timingSafeEqual } from 'node:crypto';
import { singleFlight, systemRandom, type Clock } from '@holdfast/base';
import type { Kms } from '../../platform/kms.ts';
import type { Database } from '../../platform/postgres.ts';
import * as store from './store.ts';

/**
 * The server's nonces (RFC 9449, 8): text that says when it was made, which only the nodes of one role can make.
 *
 * A proof that contains one is as fresh as the nonce, whatever the clock of who made it says.
 */
export type Nonces = {
  /** A nonce made now. */
  make(): Promise<string>;
  /** Milliseconds since the nonce was made; undefined for text that is none of ours. */
  ageMs(nonce: string): Promise<number | undefined>;
};

const purpose = 'nonce-key';
const TIME_BYTES = 6;
const MAC_BYTES = 16;

/** The nonces of one role, over a key that its nodes share. */
export function createNonces(deps: { readonly database: Database; readonly kms: Kms; readonly clock: Clock }): Nonces {
  let held: Uint8Array | undefined;
  const load = singleFlight(async () => (held ??= await sharedKey(deps)));
  const mac = async (time: Uint8Array) =>
    createHmac('sha256', held ?? (await load()))
      .update(time)
      .digest()
      .subarray(0, MAC_BYTES);
  return {
    async make() {
      const time = Buffer.alloc(TIME_BYTES);
      time.writeUIntBE(deps.clock.now(), 0, TIME_BYTES);
      return Buffer.concat([time, await mac(time)]).toString('base64url');
    },
    async ageMs(nonce) {
      const bytes = Buffer.from(nonce, 'base64url');
      if (bytes.length !== TIME_BYTES + MAC_BYTES || bytes.toString('base64url') !== nonce) return undefined;
      const time = bytes.subarray(0, TIME_BYTES);
      if (!timingSafeEqual(await mac(time), bytes.subarray(TIME_BYTES))) return undefined;
      return deps.clock.now() - time.readUIntBE(0, TIME_BYTES);
    },
  };
}

async function sharedKey(deps: {
  readonly database: Database;
  readonly kms: Kms;
  readonly clock: Clock;
}): Promise<Uint8Array> {
  const { database, kms } = deps;
  const find = () => database.withoutTenant((tx) => store.findSharedSecret(tx, purpose, kms.role));
  let wrapped = await find();
  if (wrapped === undefined) {
    const made = await kms.wrap(systemRandom(32), { purpose });
    const row = { name: purpose, role: kms.role, wrapped: made, created_at: new Date(deps.clock.now()) };
    await database.withoutTenant((tx) => store.insertSharedSecret(tx, row));
    wrapped = await find();
  }
  return kms.unwrap(wrapped ?? '', { purpose });
}
