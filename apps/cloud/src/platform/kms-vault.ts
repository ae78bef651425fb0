import { systemRandom, type Random } from '@holdfast/base';
import { z } from 'zod';
import {
  formatWrapped,
  keyChangeErrors,
  kmsErrors,
  kmsRoles,
  parseWrapped,
  passwordFrom,
  type Kms,
  type KmsContext,
  type KmsKeyFacts,
  type KmsProvider,
  type KmsRole,
} from './kms.ts';
import {
  changeRemoteFile,
  createRemoteFile,
  PASSWORD_SECRET_BYTES,
  passwordContext,
  readRemoteFile,
  remoteErrors,
} from './kms-remote.ts';
import { VaultCalls, type ReadToken, type VaultAnswer, type VaultPlace } from './vault-calls.ts';

/** How keys in a Vault are opened. */
export type VaultKmsOptions = VaultPlace & {
  /** Reads the token of a role. */
  readonly readToken: (role: KmsRole) => Promise<Uint8Array | undefined>;
  readonly random?: Random;
};

/** Keys in the transit engine of a Vault. */
export type VaultKms = KmsProvider & { readonly kind: 'vault' };

const FORMAT = 'holdfast-vault-keys-v1';
const KEY_TYPE = 'aes256-gcm96';

/**
 * Opens the keys that the transit engine of a Vault, or of OpenBao, keeps: one for each role, with versions, which never leave it. A token
 * that its policy lets use one of them opens nothing of another role. Purpose and tenant are bound as associated data.
 *
 * The name of the keys and a secret that passwords follow from, wrapped, are kept beside at `filePath`; made with the first start.
 * Keys of every role are looked at: kms_remote.weak_key where one can be taken out of the Vault.
 * @throws kms_remote.*, kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file
 */
export async function openVaultKms(filePath: string, options: VaultKmsOptions): Promise<VaultKms> {
  const { random = systemRandom } = options;
  const calls = callsOf(options);
  const file =
    (await readRemoteFile(filePath, FORMAT)) ?? (await createFile({ filePath, random, calls: calls('operator') }));
  // Others may have changed them: one that can be taken out again is used for nothing.
  for (const role of kmsRoles) await listVersions(calls('operator'), role, file.keySet);
  const operator = roleKms(calls('operator'), 'operator', file.keySet);
  const passwordSecret = await operator.unwrap(file.passwordSecret, passwordContext);
  await refuseUnbound(operator, file.passwordSecret);
  return providerOf({ filePath, random, options, calls }, file.keySet, passwordSecret);
}

/** The `Kms` of one role alone, for a role that is a process of its own. */
export function openVaultRoleKms(
  role: KmsRole,
  { keySet, ...place }: VaultPlace & { readonly keySet: string },
  readToken: ReadToken,
): Kms {
  return roleKms(new VaultCalls(place, readToken), role, keySet);
}

function callsOf({ readToken, ...place }: VaultKmsOptions): (role: KmsRole) => VaultCalls {
  const perRole = new Map<KmsRole, VaultCalls>();
  return (role) => {
    const known = perRole.get(role) ?? new VaultCalls(place, () => tokenOf(readToken, role));
    perRole.set(role, known);
    return known;
  };
}

async function tokenOf(readToken: VaultKmsOptions['readToken'], role: KmsRole): Promise<Uint8Array> {
  const token = await readToken(role);
  if (token === undefined) throw remoteErrors.no_credentials({ field: 'HOLDFAST_KMS_SECRET_FILE' });
  return token;
}

/** A Vault of before 1.13 takes no associated data, and says nothing of it: what it wraps would open for any purpose and tenant. */
async function refuseUnbound(operator: Kms, wrapped: string): Promise<void> {
  const moved = await operator.unwrap(wrapped, { purpose: `not ${passwordContext.purpose}` }).then(
    () => true,
    (error: unknown) => {
      if ((error as { code?: unknown }).code === kmsErrors.not_opened.code) return false;
      throw error;
    },
  );
  if (moved) throw remoteErrors.unbound();
}

type Opened = {
  readonly filePath: string;
  readonly random: Random;
  readonly options: VaultKmsOptions;
  readonly calls: (role: KmsRole) => VaultCalls;
};

function providerOf(opened: Opened, keySet: string, passwordSecret: Uint8Array): VaultKms {
  const { filePath, random, options, calls } = opened;
  const operator = calls('operator');
  const forRole = (role: KmsRole) => roleKms(calls(role), role, keySet);
  const change = (make: Parameters<typeof changeRemoteFile>[1]) =>
    changeRemoteFile(filePath, make, { format: FORMAT, random });
  return {
    kind: 'vault',
    forRole,
    async accessFor(role) {
      const { address, mount, namespace, ca, readToken } = options;
      const secret = Uint8Array.from(await tokenOf(readToken, role));
      return { kind: 'vault', keySet, address, mount, namespace, ca, secret };
    },
    derivePassword: (purpose) => passwordFrom(passwordSecret, purpose),
    async listKeys() {
      const keys: KmsKeyFacts[] = [];
      for (const role of kmsRoles) keys.push(...(await listVersions(operator, role, keySet)));
      return keys;
    },
    addKeys: () =>
      change(async (content) => {
        for (const role of kmsRoles) {
          const versions = await listVersions(operator, role, keySet);
          if (versions.length === 1) await done(operator.call('POST', `keys/${nameOf(keySet, role)}/rotate`, {}));
        }
        return content;
      }),
    rewrapOwn: () =>
      change(async (content) => ({
        ...content,
        passwordSecret: await forRole('operator').wrap(passwordSecret, passwordContext),
      })),
    removeKeys: (keyIds) =>
      change(async (content) => {
        const needed = parseWrapped(content.passwordSecret, 'operator', passwordContext).keyId;
        if (keyIds.includes(needed)) throw keyChangeErrors.last_key({ keyId: needed });
        for (const role of kmsRoles) await removeVersions(operator, { role, keySet, keyIds });
        return content;
      }),
    close: () => Promise.resolve(),
  };
}

const Facts = z.object({
  type: z.string(),
  exportable: z.boolean(),
  allow_plaintext_backup: z.boolean(),
  derived: z.boolean(),
  /** When each version was made, in seconds since 1970. */
  keys: z.record(z.string().regex(/^[1-9]\d*$/), z.number()),
});

/** The versions of a role's key, oldest first. @throws kms_remote.weak_key */
async function listVersions(calls: VaultCalls, role: KmsRole, keySet: string): Promise<readonly KmsKeyFacts[]> {
  const facts = Facts.safeParse(await done(calls.call('GET', `keys/${nameOf(keySet, role)}`)));
  if (!facts.success) throw remoteErrors.refused({ reason: 'what it says of a key' });
  const { type, exportable, allow_plaintext_backup: isBackedUp, derived, keys } = facts.data;
  if (type !== KEY_TYPE || exportable || isBackedUp || derived)
    throw remoteErrors.weak_key({ keyId: nameOf(keySet, role) });
  return Object.entries(keys)
    .map(([version, madeAt]) => ({ version: Number(version), createdAt: new Date(madeAt * 1000).toISOString() }))
    .toSorted((a, b) => a.version - b.version)
    .map(({ version, createdAt }) => ({ keyId: keyIdOf({ keySet, role, version }), role, createdAt }));
}

type Removal = { readonly role: KmsRole; readonly keySet: string; readonly keyIds: readonly string[] };

/** Versions are removed from the oldest on: those before the first that stays. */
async function removeVersions(calls: VaultCalls, { role, keySet, keyIds }: Removal): Promise<void> {
  const versions = await listVersions(calls, role, keySet);
  const newest = versions.at(-1);
  if (!newest || keyIds.includes(newest.keyId)) throw keyChangeErrors.last_key({ keyId: newest?.keyId ?? '' });
  const first = versions.find(({ keyId }) => !keyIds.includes(keyId))!;
  if (first === versions[0]) return;
  const least = parseKeyId(first.keyId)!.version;
  const path = `keys/${nameOf(keySet, role)}`;
  const from = { min_decryption_version: least, min_encryption_version: least };
  await done(calls.call('POST', `${path}/config`, from));
  await done(calls.call('POST', `${path}/trim`, { min_available_version: least }));
}

/** What a call told that may not be refused. @throws kms_remote.key_unusable, kms_remote.refused */
async function done(answer: Promise<VaultAnswer>): Promise<unknown> {
  const told = await answer;
  if (told.isDone) return told.data;
  const reason = told.reasons.join('; ');
  if (told.reasons.length === 0 || /not found/.test(reason)) throw remoteErrors.key_unusable({ reason });
  throw remoteErrors.refused({ reason });
}

function roleKms(calls: VaultCalls, role: KmsRole, keySet: string): Kms {
  const name = nameOf(keySet, role);
  const associated = ({ purpose, tenantId }: KmsContext) =>
    Buffer.from(JSON.stringify([keySet, role, purpose, tenantId ?? null])).toString('base64');
  return {
    role,
    async wrap(secret, context) {
      // No text is empty then, which some versions take for none.
      const plain = Buffer.concat([Uint8Array.of(1), secret]);
      const body = { plaintext: plain.toString('base64'), associated_data: associated(context) };
      plain.fill(0);
      const told = (await done(calls.call('POST', `encrypt/${name}`, body))) as { readonly ciphertext?: unknown };
      const [, version, sealed] = /^vault:v([1-9]\d*):([\w+/=]+)$/.exec(String(told?.ciphertext)) ?? [];
      if (version === undefined || sealed === undefined) throw remoteErrors.refused({ reason: 'what it sealed' });
      const keyId = keyIdOf({ keySet, role, version: Number(version) });
      return formatWrapped({ keyId, role }, Buffer.from(sealed, 'base64'));
    },
    async unwrap(wrapped, context) {
      const { keyId, sealed } = parseWrapped(wrapped, role, context);
      const facts = { keyId, role, purpose: context.purpose };
      const key = parseKeyId(keyId);
      if (!key || key.role !== role || key.keySet !== keySet) throw kmsErrors.unknown_key(facts);
      if (sealed.length === 0) throw kmsErrors.not_opened(facts);
      const ciphertext = `vault:v${key.version}:${sealed.toString('base64')}`;
      const told = await calls.call('POST', `decrypt/${name}`, { ciphertext, associated_data: associated(context) });
      if (!told.isDone) throw refusalOf(told.reasons, facts);
      const { plaintext } = (told.data ?? {}) as { readonly plaintext?: unknown };
      const plain = Buffer.from(typeof plaintext === 'string' ? plaintext : '', 'base64');
      if (plain[0] !== 1) throw kmsErrors.not_opened(facts);
      const secret = Uint8Array.from(plain.subarray(1));
      plain.fill(0);
      return secret;
    },
  };
}

/** By the words of Vault: it has no codes. */
function refusalOf(reasons: readonly string[], facts: Readonly<Record<string, string>>): Error {
  const reason = reasons.join('; ');
  if (/too old|too new|no key version|version not found/.test(reason)) return kmsErrors.unknown_key(facts);
  if (/invalid ciphertext|unable to decrypt|authentication failed/.test(reason)) return kmsErrors.not_opened(facts);
  if (/not found/.test(reason)) return remoteErrors.key_unusable({ ...facts, reason });
  return remoteErrors.refused({ ...facts, reason });
}

type FileMaking = { readonly filePath: string; readonly random: Random; readonly calls: VaultCalls };

/** Of those that start at once the first one's file counts; the keys of the others stay in the Vault and wrap nothing. */
async function createFile({ filePath, random, calls }: FileMaking) {
  const keySet = random(8).toHex();
  const kind = { type: KEY_TYPE, exportable: false, allow_plaintext_backup: false, derived: false };
  for (const role of kmsRoles) await done(calls.call('POST', `keys/${nameOf(keySet, role)}`, kind));
  const secret = random(PASSWORD_SECRET_BYTES);
  const passwordSecret = await roleKms(calls, 'operator', keySet).wrap(secret, passwordContext);
  secret.fill(0);
  await createRemoteFile(filePath, { format: FORMAT, keySet, keys: [], passwordSecret }, random);
  return (await readRemoteFile(filePath, FORMAT))!;
}

function nameOf(keySet: string, role: KmsRole): string {
  return `holdfast-${keySet}-${role}`;
}

type VersionOf = { readonly keySet: string; readonly role: KmsRole; readonly version: number };

/** Names a version among those of all roles and installations. */
function keyIdOf({ keySet, role, version }: VersionOf): string {
  return `${keySet}-${role}-${version}`;
}

function parseKeyId(keyId: string): VersionOf | undefined {
  const [keySet = '', name = '', digits = ''] = keyId.split('-');
  const role = kmsRoles.find((each) => each === name);
  if (role === undefined || !/^[1-9]\d{0,8}$/.test(digits)) return undefined;
  return { keySet, role, version: Number(digits) };
}
