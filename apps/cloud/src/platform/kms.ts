import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import { defineErrors, systemRandom, type Random } from '@holdfast/base';
import { z } from 'zod';
import { isForeign } from './state-folder.ts';

/** The server roles a secret can be wrapped for; a role opens its own and nobody else's. */
export type KmsRole = 'api' | 'storage' | 'keystore' | 'ingest' | 'jobs' | 'operator';

/** What a wrapped secret is for. It is bound into the wrapping: moved elsewhere, the secret does not open. */
export type KmsContext = {
  /** Such as `token-signing-key` or `log-key`. */
  readonly purpose: string;
  /** Whose secret it is; absent for the installation's own. */
  readonly tenantId?: string;
};

/**
 * Keeps secrets at rest: what it wraps can be stored anywhere, and only the role it was wrapped for opens it.
 *
 * A wrapped secret is text that names the key it was wrapped with, so keys can be changed while old ones still open.
 */
export type Kms = {
  readonly role: KmsRole;
  wrap(secret: Uint8Array, context: KmsContext): Promise<string>;
  /** @throws kms.not_opened when it was wrapped for another role or context, or changed. */
  unwrap(wrapped: string, context: KmsContext): Promise<Uint8Array<ArrayBuffer>>;
};

/** Failures of keeping secrets. */
export const kmsErrors = defineErrors('kms', {
  not_opened: ['corrupt', 'A wrapped secret could not be opened'],
  unknown_key: ['corrupt', 'A wrapped secret names a key that is not in the key file'],
  bad_key_file: ['corrupt', 'The master key file is not readable as one'],
  foreign_key_file: ['forbidden', 'The master key file belongs to another user, who could have chosen the keys'],
  exposed_key_file: ['forbidden', 'The master key file can be read by others than its owner'],
});

const KeyFile = z.strictObject({
  format: z.literal('holdfast-master-keys-v1'),
  /** Oldest first; the last one wraps, and passwords follow from the first. */
  keys: z
    .array(z.strictObject({ keyId: z.string().regex(/^[0-9a-f]{16}$/), key: z.base64(), createdAt: z.iso.datetime() }))
    .min(1),
});
type MasterKey = RoleKey;

/** A key that follows from a master key for one role alone: no other role's key, and no password, follows from it. */
export type RoleKey = {
  /** Of the master key it follows from. */
  readonly keyId: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** Roles that are processes of their own: they are handed their keys, and never see a master key. */
export type SeparateRole = 'keystore';

/** A master key file that was opened: gives each role its own `Kms`. */
export type KeyFileKms = {
  forRole(role: KmsRole): Kms;
  /** All that a role which is a process of its own needs for `openRoleKms`, oldest first. */
  roleKeys(role: SeparateRole): readonly RoleKey[];
  /**
   * A secret that follows from the oldest master key, such as the password of a database of our own; 43 characters.
   *
   * From the oldest, because a database keeps the password it was made with when a key is added.
   */
  derivePassword(purpose: string): string;
};

/**
 * Opens the file of master keys at `filePath`, and makes it with one random key when there is none.
 *
 * Mode 0600; a file others can read, or that is another user's, is refused. AES-256-GCM under a key derived for each role and each wrapped secret.
 * @throws kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file
 */
export async function openKeyFileKms(
  filePath: string,
  options: { readonly nowMs: number; readonly random?: Random },
): Promise<KeyFileKms> {
  const random = options.random ?? systemRandom;
  const keys = (await readKeys(filePath)) ?? (await createKeys(filePath, options.nowMs, random));
  return {
    forRole: (role) => roleKms(role === 'keystore' ? roleKeysOf(keys, role) : keys, role, random),
    roleKeys: (role) => roleKeysOf(keys, role),
    derivePassword: (purpose) =>
      Buffer.from(hkdfSync('sha256', keys[0]!.key, new Uint8Array(), `holdfast password ${purpose}`, 32)).toString(
        'base64url',
      ),
  };
}

/** The `Kms` of a role from the keys it was handed, oldest first; what it wraps names the master key. */
export function openRoleKms(role: SeparateRole, keys: readonly RoleKey[], random: Random = systemRandom): Kms {
  return roleKms(keys, role, random);
}

function roleKeysOf(keys: readonly MasterKey[], role: SeparateRole): readonly RoleKey[] {
  const derive = (key: Uint8Array) => hkdfSync('sha256', key, new Uint8Array(), `holdfast role key v1 ${role}`, 32);
  return keys.map(({ keyId, key }) => ({ keyId, key: new Uint8Array(derive(key)) }));
}

async function readKeys(filePath: string): Promise<readonly MasterKey[] | undefined> {
  const text = await readOwn(filePath);
  if (text === undefined) return undefined;
  const parsed = KeyFile.safeParse(parseJson(text));
  if (!parsed.success) throw kmsErrors.bad_key_file({ filePath }, parsed.error);
  const keys = parsed.data.keys.map(({ keyId, key }) => ({ keyId, key: Uint8Array.fromBase64(key) }));
  if (keys.some(({ key }) => key.length !== 32)) throw kmsErrors.bad_key_file({ filePath });
  return keys;
}

/** The text of a file that is this user's and nobody else's to read; judged by the descriptor that is read. */
async function readOwn(filePath: string): Promise<string | undefined> {
  const file = await open(filePath, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return undefined;
  try {
    const facts = await file.stat();
    if (isForeign(facts)) throw kmsErrors.foreign_key_file({ filePath });
    if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0) throw kmsErrors.exposed_key_file({ filePath });
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Two processes may start at once: the file appears whole, and whoever comes second reads the first one's. */
async function createKeys(filePath: string, nowMs: number, random: Random): Promise<readonly MasterKey[]> {
  const key = { keyId: random(8).toHex(), key: random(32).toBase64(), createdAt: new Date(nowMs).toISOString() };
  const draft = path.join(path.dirname(filePath), `.${path.basename(filePath)}.${random(8).toHex()}`);
  const file = await open(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ format: 'holdfast-master-keys-v1', keys: [key] }, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await link(draft, filePath).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await unlink(draft);
  await syncFolder(path.dirname(filePath));
  return (await readKeys(filePath))!;
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const SALT_BYTES = 32;
const TAG_BYTES = 16;

function roleKms(keys: readonly RoleKey[], role: KmsRole, random: Random): Kms {
  return {
    role,
    async wrap(secret, context) {
      const { keyId, key } = keys.at(-1)!;
      const salt = random(SALT_BYTES);
      const [sealingKey, nonce] = subkey(key, salt, role);
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce);
      sealingKey.fill(0);
      cipher.setAAD(associatedData(keyId, role, context));
      const sealed = Buffer.concat([salt, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return `hfw1.${keyId}.${role}.${sealed.toString('base64url')}`;
    },
    async unwrap(wrapped, context) {
      const [format, keyId = '', forRole, body = ''] = wrapped.split('.');
      const facts = { keyId, role, purpose: context.purpose };
      if (format !== 'hfw1' || forRole !== role) throw kmsErrors.not_opened(facts);
      const master = keys.find((key) => key.keyId === keyId);
      if (!master) throw kmsErrors.unknown_key(facts);
      const sealed = Buffer.from(body, 'base64url');
      if (sealed.length < SALT_BYTES + TAG_BYTES) throw kmsErrors.not_opened(facts);
      const [key, nonce] = subkey(master.key, sealed.subarray(0, SALT_BYTES), role);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce);
      key.fill(0);
      decipher.setAAD(associatedData(keyId, role, context));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const opened = decipher.update(sealed.subarray(SALT_BYTES, -TAG_BYTES));
      try {
        decipher.final();
        return new Uint8Array(opened);
      } catch (error) {
        throw kmsErrors.not_opened(facts, error);
      } finally {
        opened.fill(0);
      }
    },
  };
}

/** A key and nonce of their own for each wrapped secret, so no count of them wears a key out. */
function subkey(master: Uint8Array, salt: Uint8Array, role: KmsRole): [key: Uint8Array, nonce: Uint8Array] {
  const derived = new Uint8Array(hkdfSync('sha256', master, salt, `holdfast wrap v1 ${role}`, 44));
  return [derived.subarray(0, 32), derived.subarray(32)];
}

function associatedData(keyId: string, role: KmsRole, context: KmsContext): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([keyId, role, context.purpose, context.tenantId ?? null]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
