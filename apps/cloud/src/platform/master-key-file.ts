import { argon2, createCipheriv, createDecipheriv } from 'node:crypto';
import { promisify } from 'node:util';
import { defineErrors, type Random } from '@holdfast/base';
import { z } from 'zod';
import { kmsErrors, type RoleKey } from './kms.ts';
import type { ReadKmsSecret } from './kms-secret.ts';
import { createOwnFile, readOwnFile, replaceOwnFile } from './own-file.ts';

/** What is wrong between a master key file and its passphrase. */
export const passphraseErrors = defineErrors('kms_passphrase', {
  missing: ['forbidden', 'The master key file is closed with a passphrase, and none was given'],
  wrong: ['forbidden', 'The passphrase does not open the master key file, or the file was changed'],
  too_short: ['invalid', 'A passphrase must have 12 characters or more'],
});

/** A master key with the time it was made. */
export type MasterKey = RoleKey & { readonly createdAt: string };

/** What a master key file holds. */
export type MasterKeys = {
  /** Oldest first, at least one; the last one wraps. */
  readonly keys: readonly MasterKey[];
  /** What passwords follow from. */
  readonly passwordSecret: Uint8Array;
  /** Whether a passphrase closes the file. */
  readonly hasPassphrase: boolean;
};

/** What working out a passphrase costs: Argon2id (RFC 9106). */
export type PassphraseCost = { readonly memoryKibibytes: number; readonly passes: number; readonly lanes: number };

/** What new files ask for; docs/adr/0019-argon2id-within-bounds.md says what it takes. */
export const PASSPHRASE_COST: PassphraseCost = { memoryKibibytes: 262_144, passes: 3, lanes: 1 };
/** The shortest passphrase that is taken for a new file. */
export const MIN_PASSPHRASE_CHARACTERS = 12;

const keyIdPattern = /^[0-9a-f]{16}$/;
const Keys = z.array(
  z.strictObject({ keyId: z.string().regex(keyIdPattern), key: z.base64(), createdAt: z.iso.datetime() }),
);
const Content = z.strictObject({
  /** Oldest first; the last one wraps. */
  keys: Keys.min(1).max(1_000),
  /** Passwords follow from it. */
  passwordSecret: z.base64(),
});
/** The first form: open, and passwords follow from the oldest key. It is still read. */
const FirstForm = z.strictObject({ format: z.literal('holdfast-master-keys-v1'), keys: Keys.min(1) });
const FORMAT = 'holdfast-master-keys-v2';
const OpenForm = z.strictObject({ format: z.literal(FORMAT), ...Content.shape });
const Passphrase = z.strictObject({
  salt: z.base64(),
  // Whoever can change the file could otherwise ask for next to no work, or for all memory there is.
  memoryKibibytes: z.int().min(19_456).max(1_048_576),
  passes: z.int().min(1).max(10),
  lanes: z.int().min(1).max(4),
});
type Passphrase = z.infer<typeof Passphrase>;
const ClosedForm = z.strictObject({ format: z.literal(FORMAT), passphrase: Passphrase, sealed: z.base64() });
const AnyForm = z.union([FirstForm, OpenForm, ClosedForm]);

const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Reads a master key file; undefined when there is none. Mode 0600; a file others can read, or that is another user's, is refused.
 *
 * @throws kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file, kms_passphrase.missing, kms_passphrase.wrong
 */
export async function readMasterKeys(filePath: string, readSecret: ReadKmsSecret): Promise<MasterKeys | undefined> {
  const text = await readOwnFile(filePath);
  if (text === undefined) return undefined;
  const parsed = AnyForm.safeParse(parseJson(text));
  if (!parsed.success) throw kmsErrors.bad_key_file({ filePath }, parsed.error);
  const file = parsed.data;
  if ('sealed' in file) return { ...toKeys(filePath, await unseal(filePath, file, readSecret)), hasPassphrase: true };
  const passwordSecret = 'passwordSecret' in file ? file.passwordSecret : file.keys[0]!.key;
  return { ...toKeys(filePath, { keys: file.keys, passwordSecret }), hasPassphrase: false };
}

function toKeys(filePath: string, content: z.infer<typeof Content>) {
  const keys = content.keys.map(({ key, ...facts }) => ({ ...facts, key: Uint8Array.fromBase64(key) }));
  const passwordSecret = Uint8Array.fromBase64(content.passwordSecret);
  const sizes = [passwordSecret, ...keys.map(({ key }) => key)].map(({ length }) => length);
  if (sizes.some((size) => size !== KEY_BYTES)) throw kmsErrors.bad_key_file({ filePath });
  return { keys, passwordSecret };
}

/** A new key. */
export function makeMasterKey(nowMs: number, random: Random): MasterKey {
  return { keyId: random(8).toHex(), key: random(KEY_BYTES), createdAt: new Date(nowMs).toISOString() };
}

/** A secret for passwords. */
export function makePasswordSecret(random: Random): Uint8Array {
  return random(KEY_BYTES);
}

/** How a file is written: closed with a passphrase where one is given. */
export type WriteOptions = {
  readonly random: Random;
  readonly passphrase: Uint8Array | undefined;
  readonly cost: PassphraseCost;
};

/** Writes a new master key file unless there is one: it appears whole, and whoever comes second leaves the first one's. */
export async function createMasterKeys(
  filePath: string,
  content: Omit<MasterKeys, 'hasPassphrase'>,
  options: WriteOptions,
): Promise<void> {
  await createOwnFile(filePath, await formatFile(content, options), options.random);
}

/** Writes another master key file in the place of the one there is: a crash leaves the one or the other, whole. */
export async function replaceMasterKeys(
  filePath: string,
  content: Omit<MasterKeys, 'hasPassphrase'>,
  options: WriteOptions,
): Promise<void> {
  await replaceOwnFile(filePath, await formatFile(content, options), options.random);
}

async function formatFile(
  { keys, passwordSecret }: Omit<MasterKeys, 'hasPassphrase'>,
  { random, passphrase, cost }: WriteOptions,
): Promise<string> {
  const content = {
    keys: keys.map(({ keyId, key, createdAt }) => ({ keyId, key: key.toBase64(), createdAt })),
    passwordSecret: passwordSecret.toBase64(),
  };
  const file =
    passphrase === undefined ? { format: FORMAT, ...content } : await seal(content, { random, passphrase, cost });
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

const workOut = promisify(argon2);

async function keyFrom(passphrase: Uint8Array, { salt, memoryKibibytes, passes, lanes }: Passphrase): Promise<Buffer> {
  const cost = { memory: memoryKibibytes, passes, parallelism: lanes, tagLength: KEY_BYTES };
  // As typed on another computer: one normal form of the same text.
  const message = Buffer.from(Buffer.from(passphrase).toString('utf8').normalize('NFC'), 'utf8');
  return workOut('argon2id', { message, nonce: Uint8Array.fromBase64(salt), ...cost });
}

/** A closed file says nothing but what closing it costs, and that is bound into the sealing. */
function headerOf(passphrase: Passphrase): Buffer {
  const { salt, memoryKibibytes, passes, lanes } = passphrase;
  return Buffer.from(JSON.stringify([FORMAT, salt, memoryKibibytes, passes, lanes]));
}

async function seal(
  content: z.infer<typeof Content>,
  { random, passphrase, cost }: WriteOptions & { readonly passphrase: Uint8Array },
) {
  const header = { salt: random(SALT_BYTES).toBase64(), ...cost };
  const key = await keyFrom(passphrase, header);
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  key.fill(0);
  cipher.setAAD(headerOf(header));
  const sealed = [nonce, cipher.update(JSON.stringify(content), 'utf8'), cipher.final(), cipher.getAuthTag()];
  return { format: FORMAT, passphrase: header, sealed: Buffer.concat(sealed).toString('base64') };
}

async function unseal(filePath: string, file: z.infer<typeof ClosedForm>, readSecret: ReadKmsSecret) {
  const sealed = Buffer.from(file.sealed, 'base64');
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw kmsErrors.bad_key_file({ filePath });
  const passphrase = await readSecret();
  if (passphrase === undefined) throw passphraseErrors.missing({ filePath });
  const key = await keyFrom(passphrase, file.passphrase);
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
  key.fill(0);
  decipher.setAAD(headerOf(file.passphrase));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const opened = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
  } catch (error) {
    throw passphraseErrors.wrong({ filePath }, error);
  }
  const parsed = Content.safeParse(parseJson(opened.toString('utf8')));
  opened.fill(0);
  if (!parsed.success) throw kmsErrors.bad_key_file({ filePath });
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
