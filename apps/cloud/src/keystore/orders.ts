import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { logLevels } from '../platform/log.ts';
import { secretsOf, type RoleAccess } from '../platform/role-access.ts';

const KEY_BYTES = 32;
const LENGTH_BYTES = 4;
const MAX_MESSAGE_BYTES = 128 * 1024;

const Facts = z.strictObject({
  /** HOLDFAST_HOME: where its socket and lock lie. */
  homeDir: z.string(),
  installationId: z.uuid(),
  /** An address without user or password, or the data folder of the embedded database. */
  database: z.union([z.strictObject({ url: z.string() }), z.strictObject({ dataDir: z.string(), name: z.string() })]),
  /** Of the login hf_keystore. */
  password: z.string(),
  logLevel: z.enum(logLevels),
});

/** All that the keystore is told when it starts, besides what opens its keys. */
export type KeystoreFacts = z.infer<typeof Facts>;

/** Orders of the keystore. Nothing of them is in its environment or arguments, where others could read it. */
export type KeystoreOrders = KeystoreFacts & { readonly access: RoleAccess };

/** Credentials of AWS that are for a time hold some kilobytes. */
const secretBytes = z.int().min(1).max(16_384);
const keySet = z.string();
/** What opens its keys, but for the secrets, which follow as bytes in the same order. */
const AccessHead = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('keys'), keyIds: z.array(z.string()).min(1).max(1_000) }),
  z.strictObject({
    kind: z.literal('pkcs11'),
    keySet,
    modulePath: z.string(),
    tokenLabel: z.string(),
    secretBytes,
  }),
  z.strictObject({
    kind: z.literal('aws'),
    keySet,
    region: z.string(),
    endpoint: z.string().nullable(),
    keys: z.array(z.string()).min(1).max(1_000),
    secretBytes,
  }),
  z.strictObject({
    kind: z.literal('vault'),
    keySet,
    address: z.string(),
    mount: z.string(),
    namespace: z.string().nullable(),
    ca: z.string().nullable(),
    secretBytes,
  }),
]);
type AccessHead = z.infer<typeof AccessHead>;

const Head = z.union([
  z.strictObject({ orders: Facts, access: AccessHead }),
  /** The answer to a question of that number; null where there was none. */
  z.strictObject({ answers: z.int().min(1), access: AccessHead.nullable() }),
]);
type Head = z.infer<typeof Head>;

/** What the server tells its keystore: first its orders, then answers. */
export type Told =
  { readonly orders: KeystoreOrders } | { readonly answers: number; readonly access: RoleAccess | undefined };

/** Writes orders to a pipe, which stays open: its end is the sign to end. Secrets go as bytes that are overwritten. */
export function sendOrders(pipe: Writable, { access, ...orders }: KeystoreOrders): void {
  send(pipe, { orders, access: headOf(access) }, secretsOf(access));
}

/** Answers a question for what opens the keystore's keys now; undefined where it could not be read. */
export function sendAccess(pipe: Writable, answers: number, access: RoleAccess | undefined): void {
  if (access) send(pipe, { answers, access: headOf(access) }, secretsOf(access));
  else send(pipe, { answers, access: null }, []);
}

function send(pipe: Writable, head: Head, secrets: readonly Uint8Array[]): void {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  const message = Buffer.concat([length, json, ...secrets]);
  json.fill(0);
  pipe.write(message, () => message.fill(0));
}

function headOf(access: RoleAccess): AccessHead {
  if (access.kind === 'keys') return { kind: 'keys', keyIds: access.keys.map(({ keyId }) => keyId) };
  const { secret, ...place } = access;
  if (place.kind === 'aws') return { ...place, keys: [...place.keys], secretBytes: secret.length };
  return { ...place, secretBytes: secret.length };
}

function sizesOf(head: AccessHead | null): readonly number[] {
  if (head === null) return [];
  return head.kind === 'keys' ? head.keyIds.map(() => KEY_BYTES) : [head.secretBytes];
}

function accessOf(head: AccessHead, secrets: readonly Uint8Array[]): RoleAccess {
  if (head.kind === 'keys')
    return { kind: 'keys', keys: head.keyIds.map((keyId, index) => ({ keyId, key: secrets[index]! })) };
  const { secretBytes: _, ...place } = head;
  return { ...place, secret: secrets[0]! };
}

/**
 * Reads what the server tells until the pipe ends, and overwrites the bytes it came in.
 *
 * Resolves when the pipe ends, with whatever of a message came before. Rejects, and reads no more, at what is no message.
 */
export function listen(pipe: Readable, take: (told: Told) => void): Promise<void> {
  const received = Buffer.alloc(MAX_MESSAGE_BYTES);
  let size = 0;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      pipe.off('data', receive).off('end', end).off('error', end);
      received.fill(0);
      settle();
    };
    const end = () => finish(resolve);
    const receive = (chunk: Buffer) => {
      try {
        let rest = chunk;
        while (rest.length > 0) {
          const fitting = rest.subarray(0, received.length - size);
          fitting.copy(received, size);
          size += fitting.length;
          rest = rest.subarray(fitting.length);
          size = takeAll(received, size, take);
          if (size === received.length) throw new Error('a message of the server is too long');
        }
      } catch (error) {
        finish(() => reject(error));
      } finally {
        chunk.fill(0);
      }
    };
    pipe.on('data', receive).once('end', end).once('error', end);
  });
}

/** Hands on all whole messages and moves what is left to the front; returns how much that is. */
function takeAll(received: Buffer, size: number, take: (told: Told) => void): number {
  let at = 0;
  for (;;) {
    const message = parseMessage(received.subarray(at, size));
    if (!message) break;
    at += message.bytes;
    take(message.told);
  }
  received.copyWithin(0, at, size);
  received.fill(0, size - at, size);
  return size - at;
}

/** Undefined while bytes are missing. The parser's own words are not kept: they would quote what came. */
function parseMessage(bytes: Buffer): { readonly told: Told; readonly bytes: number } | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const secretsAt = LENGTH_BYTES + bytes.readUInt32BE();
  if (bytes.length < secretsAt) return undefined;
  const head = parseHead(bytes.toString('utf8', LENGTH_BYTES, secretsAt));
  let at = secretsAt;
  const places = sizesOf(head.access).map((length) => [at, (at += length)] as const);
  if (bytes.length < at) return undefined;
  const secrets = places.map(([from, to]) => Uint8Array.from(bytes.subarray(from, to)));
  const access = head.access === null ? undefined : accessOf(head.access, secrets);
  if ('answers' in head) return { told: { answers: head.answers, access }, bytes: at };
  return { told: { orders: { ...head.orders, access: access! } }, bytes: at };
}

function parseHead(text: string): Head {
  try {
    return Head.parse(JSON.parse(text));
  } catch {
    throw new Error('a message of the server has another form');
  }
}
