import type { Random } from '@holdfast/base';
import { tokenErrors } from './pkcs11-calls.ts';
import { tokenAnswerOf, type SessionCalls } from './token-session.ts';

/** A key in a token. */
export type TokenKey = { readonly keyId: string; readonly object: bigint };

/** Numbers of pkcs11t.h (PKCS #11 v2.40). */
const CKO_SECRET_KEY = 4;
const CKK_AES = 0x1f;
const CKM_AES_KEY_GEN = 0x1080;
const CKM_AES_GCM = 0x1087;
const CKA = {
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  wrap: 0x106,
  unwrap: 0x107,
  valueLen: 0x161,
  extractable: 0x162,
  neverExtractable: 0x164,
  alwaysSensitive: 0x165,
} as const;
const KEY_BYTES = 32;
const WORD_BYTES = 8;
const MAX_KEYS = 1_000;
const MAX_ID_BYTES = 64;
const NUMBER_BYTES = 4;
const RANDOM_ID_BYTES = 8;

/** Length of a nonce. */
export const NONCE_BYTES = 12;
/** Length of the mark at the end by which a change is found. */
export const TAG_BYTES = 16;

/** What modules answer to bytes that do not belong together: there is no number for it alone. */
const DIFFERS: readonly number[] = [
  0x05, // CKR_GENERAL_ERROR
  0x06, // CKR_FUNCTION_FAILED
  0x20, // CKR_DATA_INVALID
  0x40, // CKR_ENCRYPTED_DATA_INVALID
  0x41, // CKR_ENCRYPTED_DATA_LEN_RANGE
  0xc0, // CKR_SIGNATURE_INVALID
];

type Attribute = readonly [kind: number, value: Uint8Array];

function flag(is: boolean): Uint8Array {
  return Uint8Array.of(is ? 1 : 0);
}

function ulong(value: number): Uint8Array {
  const bytes = new Uint8Array(WORD_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Attributes as an array of CK_ATTRIBUTE. */
function template({ memory }: SessionCalls, attributes: readonly Attribute[]): bigint {
  return memory.words(...attributes.flatMap(([kind, value]) => [kind, memory.put(value), value.length]));
}

/** The keys of a label, oldest first by the number that their id begins with. */
export async function findTokenKeys(calls: SessionCalls, label: string): Promise<readonly TokenKey[]> {
  const { session, memory, call } = calls;
  const wanted: readonly Attribute[] = [
    [CKA.class, ulong(CKO_SECRET_KEY)],
    [CKA.token, flag(true)],
    [CKA.label, utf8(label)],
  ];
  await call('C_FindObjectsInit', session, template(calls, wanted), wanted.length);
  const objects = memory.room(MAX_KEYS * WORD_BYTES);
  const count = memory.words(0);
  await call('C_FindObjects', session, objects, MAX_KEYS, count);
  await call('C_FindObjectsFinal', session);
  const keys: TokenKey[] = [];
  for (let index = 0; index < Number(memory.word(count)); index++) {
    const object = memory.word(objects, index);
    keys.push({ object, keyId: (await readAttribute(calls, object, CKA.id, MAX_ID_BYTES)).toHex() });
  }
  return keys.toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1));
}

async function readAttribute(
  { session, memory, call }: SessionCalls,
  object: bigint,
  kind: number,
  maxBytes: number,
): Promise<Uint8Array> {
  const value = memory.room(maxBytes);
  const attribute = memory.words(kind, value, maxBytes);
  await call('C_GetAttributeValue', session, object, attribute, 1);
  return memory.read(value, Number(memory.word(attribute, 2)));
}

/** Refuses a key that could ever be read out of the token: somebody else made it. @throws kms_token.weak_key */
export async function refuseWeakKey(calls: SessionCalls, { object, keyId }: TokenKey): Promise<void> {
  for (const kind of [CKA.alwaysSensitive, CKA.neverExtractable]) {
    const [is] = await readAttribute(calls, object, kind, 1);
    if (is !== 1) throw tokenErrors.weak_key({ keyId });
  }
}

/** Makes a key in the token that never leaves it, as the newest of its label. */
export async function makeTokenKey(calls: SessionCalls, label: string, random: Random): Promise<TokenKey> {
  const newest = (await findTokenKeys(calls, label)).at(-1);
  const number = newest === undefined ? 1 : parseInt(newest.keyId.slice(0, NUMBER_BYTES * 2), 16) + 1;
  const keyId = number.toString(16).padStart(NUMBER_BYTES * 2, '0') + random(RANDOM_ID_BYTES).toHex();
  const attributes: readonly Attribute[] = [
    [CKA.class, ulong(CKO_SECRET_KEY)],
    [CKA.keyType, ulong(CKK_AES)],
    [CKA.valueLen, ulong(KEY_BYTES)],
    [CKA.token, flag(true)],
    [CKA.private, flag(true)],
    [CKA.sensitive, flag(true)],
    [CKA.extractable, flag(false)],
    [CKA.encrypt, flag(true)],
    [CKA.decrypt, flag(true)],
    [CKA.wrap, flag(false)],
    [CKA.unwrap, flag(false)],
    [CKA.label, utf8(label)],
    [CKA.id, Uint8Array.fromHex(keyId)],
  ];
  const { session, memory, call } = calls;
  const made = memory.words(0);
  const mechanism = memory.words(CKM_AES_KEY_GEN, 0, 0);
  await call('C_GenerateKey', session, mechanism, template(calls, attributes), attributes.length, made);
  return { keyId, object: memory.word(made) };
}

/** Removes a key from the token for good. */
export async function destroyTokenKey({ session, call }: SessionCalls, { object }: TokenKey): Promise<void> {
  await call('C_DestroyObject', session, object);
}

type Sealing = { readonly nonce: Uint8Array; readonly associated: Uint8Array };

/** CK_MECHANISM with CK_GCM_PARAMS. */
function gcm({ memory }: SessionCalls, { nonce, associated }: Sealing): bigint {
  const [iv, aad] = [memory.put(nonce), memory.put(associated)];
  const parameters = memory.words(iv, nonce.length, nonce.length * 8, aad, associated.length, TAG_BYTES * 8);
  return memory.words(CKM_AES_GCM, parameters, 6 * WORD_BYTES);
}

/** AES-256-GCM in the token; the tag is at the end of what comes back. */
export async function sealInToken(
  calls: SessionCalls,
  key: TokenKey,
  secret: Uint8Array,
  sealing: Sealing,
): Promise<Uint8Array> {
  const { session, memory, call } = calls;
  await call('C_EncryptInit', session, gcm(calls, sealing), key.object);
  const [out, size] = roomFor(calls, secret.length + TAG_BYTES);
  await call('C_Encrypt', session, memory.put(secret), secret.length, out, size);
  return memory.read(out, Number(memory.word(size)));
}

/** The reverse; undefined when the key, the nonce, what is associated or a bit differs. */
export async function openInToken(
  calls: SessionCalls,
  key: TokenKey,
  sealed: Uint8Array,
  sealing: Sealing,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { session, memory, call } = calls;
  await call('C_DecryptInit', session, gcm(calls, sealing), key.object);
  const [out, size] = roomFor(calls, sealed.length);
  try {
    await call('C_Decrypt', session, memory.put(sealed), sealed.length, out, size);
  } catch (error) {
    if (DIFFERS.includes(tokenAnswerOf(error) ?? 0)) return undefined;
    throw error;
  }
  return memory.read(out, Number(memory.word(size)));
}

/** Where a call writes to, and where it reads how much room there is and writes how much it took. */
function roomFor({ memory }: SessionCalls, size: number): readonly [out: bigint, size: bigint] {
  return [memory.room(size), memory.words(size)];
}
