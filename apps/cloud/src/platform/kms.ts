import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { defineErrors, systemRandom, type Random } from '@holdfast/base';
import type { RoleAccess } from './role-access.ts';

/** All of them. */
export const kmsRoles = ['api', 'storage', 'keystore', 'ingest', 'jobs', 'operator'] as const;
/** The server roles a secret can be wrapped for; a role opens its own and nobody else's. */
export type KmsRole = (typeof kmsRoles)[number];

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
  unknown_key: ['corrupt', 'A wrapped secret names a key that is not among the master keys'],
  bad_key_file: ['corrupt', 'The master key file is not readable as one'],
  foreign_key_file: ['forbidden', 'The master key file belongs to another user, who could have chosen the keys'],
  exposed_key_file: ['forbidden', 'The master key file can be read by others than its owner'],
});

/** What keeps keys from being changed. */
export const keyChangeErrors = defineErrors('kms_change', {
  under_way: ['conflict', 'The master keys are being changed by another command'],
  last_key: ['conflict', 'The newest master key, which wraps, is not removed'],
  file_gone: ['not_found', 'The file of the keys is gone'],
  incomplete: ['corrupt', 'Some secrets could not be wrapped anew; the older keys stay'],
  no_passphrase: ['invalid', 'Only a key file has a passphrase; a token has a PIN of its own'],
});

/** A key that wraps, as it may be told to anybody. */
export type KmsKeyFacts = {
  readonly keyId: string;
  /** The role it wraps for; null where it wraps for every role. */
  readonly role: KmsRole | null;
  /** When it was made, where that is known. */
  readonly createdAt: string | null;
};

/** Where the keys are that wrap: gives each role its own `Kms`. */
export type KmsProvider = {
  readonly kind: 'file' | 'pkcs11' | 'aws' | 'vault';
  forRole(role: KmsRole): Kms;
  /** What a role that is a process of its own is told, as it is now: a copy, for the caller to overwrite. */
  accessFor(role: SeparateRole): Promise<RoleAccess>;
  /**
   * A secret of the installation, such as the password of a database of our own; 43 characters, the same for ever.
   *
   * It follows from a secret of its own that changing keys leaves as it is, because a database keeps the password it was made with.
   */
  derivePassword(purpose: string): string;
  /** All keys there are, oldest first; of each role the last one wraps. */
  listKeys(): Promise<readonly KmsKeyFacts[]>;
  /**
   * Adds a key beside each that is alone; from then on it wraps, here and in every other process.
   *
   * Where older ones are there still, none is added: their change goes on.
   */
  addKeys(): Promise<void>;
  /** Wraps anew with the newest keys what it keeps outside the database. */
  rewrapOwn(): Promise<void>;
  /** Removes keys for good: what is still wrapped with them never opens again. */
  removeKeys(keyIds: readonly string[]): Promise<void>;
  /** Ends what it holds open. */
  close(): Promise<void>;
};

/** A key that follows from a master key for one role alone: no other role's key, and no password, follows from it. */
export type RoleKey = {
  /** Of the master key it follows from. */
  readonly keyId: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** Roles that are processes of their own: they are handed their keys, and never see a master key. */
export type SeparateRole = 'keystore';

/** The keys of a role, which may change while it runs. */
export type RoleKeySource = {
  /** All keys that open, oldest first. */
  known(): readonly RoleKey[];
  /** The same, read again where there may be others by now; the last one wraps. */
  newest(): Promise<readonly RoleKey[]>;
};

/**
 * The `Kms` of a role from the keys it was handed, oldest first; what it wraps names the master key.
 *
 * With a source of keys it follows their change: it asks for the newest before it wraps, and when it meets a key it does not know.
 */
export function openRoleKms(
  role: SeparateRole,
  keys: readonly RoleKey[] | RoleKeySource,
  random: Random = systemRandom,
): Kms {
  const fixed = 'known' in keys ? keys : { known: () => keys, newest: () => Promise.resolve(keys) };
  return roleKms(fixed, role, random);
}

const FORMAT = 'hfw1';
const SALT_BYTES = 32;
const TAG_BYTES = 16;

/** A `Kms` over keys held in memory: AES-256-GCM under a key derived for each role and each wrapped secret. */
export function roleKms(source: RoleKeySource, role: KmsRole, random: Random): Kms {
  return {
    role,
    async wrap(secret, context) {
      const { keyId, key } = (await source.newest()).at(-1)!;
      const salt = random(SALT_BYTES);
      const [sealingKey, nonce] = subkey(key, salt, role);
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce);
      sealingKey.fill(0);
      cipher.setAAD(associatedData(keyId, role, context));
      return formatWrapped(
        { keyId, role },
        Buffer.concat([salt, cipher.update(secret), cipher.final(), cipher.getAuthTag()]),
      );
    },
    async unwrap(wrapped, context) {
      const { keyId, sealed } = parseWrapped(wrapped, role, context);
      const facts = { keyId, role, purpose: context.purpose };
      const find = (keys: readonly RoleKey[]) => keys.find((key) => key.keyId === keyId);
      // What is joined first may have begun before the key was added.
      const master = find(source.known()) ?? find(await source.newest()) ?? find(await source.newest());
      if (!master) throw kmsErrors.unknown_key(facts);
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

/** What every provider binds a wrapped secret to, besides its key. */
export function associatedData(keyId: string, role: KmsRole, context: KmsContext): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([keyId, role, context.purpose, context.tenantId ?? null]));
}

/** A wrapped secret as text: `hfw1.KEY.ROLE.BYTES`. Statements of migrations and of changing keys read its second part. */
export function formatWrapped({ keyId, role }: { readonly keyId: string; readonly role: KmsRole }, sealed: Uint8Array) {
  return `${FORMAT}.${keyId}.${role}.${Buffer.from(sealed).toString('base64url')}`;
}

/** Reads a wrapped secret. @throws kms.not_opened for text that is none, or one of another role */
export function parseWrapped(
  wrapped: string,
  role: KmsRole,
  { purpose }: KmsContext,
): { readonly keyId: string; readonly sealed: Buffer } {
  const [format, keyId = '', forRole, body = ''] = wrapped.split('.');
  if (format !== FORMAT || forRole !== role) throw kmsErrors.not_opened({ keyId, role, purpose });
  return { keyId, sealed: Buffer.from(body, 'base64url') };
}

/** A password of the installation from its secret for passwords. */
export function passwordFrom(passwordSecret: Uint8Array, purpose: string): string {
  const derived = hkdfSync('sha256', passwordSecret, new Uint8Array(), `holdfast password ${purpose}`, 32);
  return Buffer.from(derived).toString('base64url');
}
