import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { logLevels } from '../platform/log.ts';
import type { RoleKey } from '../platform/kms.ts';

const KEY_BYTES = 32;
const LENGTH_BYTES = 4;
const MAX_FACTS_BYTES = 64 * 1024;

const Facts = z.strictObject({
  /** HOLDFAST_HOME: where its socket and lock lie. */
  homeDir: z.string(),
  installationId: z.uuid(),
  /** An address without user or password, or the data folder of the embedded database. */
  database: z.union([z.strictObject({ url: z.string() }), z.strictObject({ dataDir: z.string(), name: z.string() })]),
  /** Of the login hf_keystore. */
  password: z.string(),
  logLevel: z.enum(logLevels),
  /** Of the keys that follow, in their order. */
  keyIds: z.array(z.string()).min(1).max(1_000),
});
type Facts = z.infer<typeof Facts>;

/** All that the keystore is told when it starts. Nothing is in its environment or arguments, where others could read it. */
export type KeystoreOrders = Omit<Facts, 'keyIds'> & {
  /** Of the role keystore, oldest first. */
  readonly roleKeys: readonly RoleKey[];
};

/** Writes orders to a pipe, which stays open: its end is the sign to end. The keys go as bytes that are overwritten. */
export function sendOrders(pipe: Writable, { roleKeys, ...facts }: KeystoreOrders): void {
  const told: Facts = { ...facts, keyIds: roleKeys.map(({ keyId }) => keyId) };
  const json = Buffer.from(JSON.stringify(told));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  const message = Buffer.concat([length, json, ...roleKeys.map(({ key }) => key)]);
  pipe.write(message, () => message.fill(0));
}

/**
 * Reads orders from a pipe and overwrites what it was given; undefined when the pipe ends before they are whole.
 *
 * What comes after them is dropped.
 */
export async function readOrders(pipe: Readable): Promise<KeystoreOrders | undefined> {
  const received = Buffer.alloc(LENGTH_BYTES + MAX_FACTS_BYTES);
  let size = 0;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      pipe.off('data', take).off('end', end).off('error', end);
      received.fill(0);
      settle();
    };
    const end = () => finish(() => resolve(undefined));
    const take = (chunk: Buffer) => {
      const fits = size + chunk.length <= received.length;
      if (fits) chunk.copy(received, size);
      chunk.fill(0);
      size += chunk.length;
      try {
        if (!fits) throw new Error('the orders are too long');
        const orders = parseOrders(received.subarray(0, size));
        if (orders) finish(() => resolve(orders));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    pipe.on('data', take).once('end', end).once('error', end);
  });
}

/** Undefined while bytes are missing. */
function parseOrders(bytes: Buffer): KeystoreOrders | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const keysAt = LENGTH_BYTES + bytes.readUInt32BE();
  if (bytes.length < keysAt) return undefined;
  const { keyIds, ...facts } = factsIn(bytes.toString('utf8', LENGTH_BYTES, keysAt));
  if (bytes.length < keysAt + keyIds.length * KEY_BYTES) return undefined;
  const keyAt = (index: number) => Uint8Array.from(bytes.subarray(keysAt + index * KEY_BYTES).subarray(0, KEY_BYTES));
  return { ...facts, roleKeys: keyIds.map((keyId, index) => ({ keyId, key: keyAt(index) })) };
}

/** The parser's own error, and that of the shape, may quote the password: neither is passed on. */
function factsIn(text: string): Facts {
  try {
    return Facts.parse(JSON.parse(text));
  } catch {
    throw new Error('the orders are of another form');
  }
}
