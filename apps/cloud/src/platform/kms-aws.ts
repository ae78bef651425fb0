import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  ScheduleKeyDeletionCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { singleFlight, systemClock, systemRandom, type Clock, type Random } from '@holdfast/base';
import { AwsCredentials, calling, credentialsOf, makeAwsClient, type AwsPlace } from './aws-calls.ts';
import {
  formatWrapped,
  keyChangeErrors,
  kmsErrors,
  parseWrapped,
  passwordFrom,
  type Kms,
  type KmsContext,
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
  type RemoteFile,
} from './kms-remote.ts';
import type { RoleAccess } from './role-access.ts';

/** How keys in AWS KMS are opened. */
export type AwsKmsOptions = AwsPlace & {
  /** A profile of AWS's own files; `{role}` in it is replaced by each role. AWS's usual chain of places when undefined. */
  readonly profile: string | undefined;
  readonly random?: Random;
  readonly clock?: Clock;
};

/** Keys in AWS KMS. */
export type AwsKms = KmsProvider & { readonly kind: 'aws' };

const FORMAT = 'holdfast-aws-keys-v1';
/** What AWS keeps a key for that is to be deleted, at most: so long it can be had back there. */
const PENDING_DAYS = 30;
/** A new key is not known everywhere at once. */
const SETTLE = { tries: 12, everyMs: 500 };

/**
 * Opens the keys that AWS KMS keeps: one symmetric key, which never leaves it, for all roles, with role, purpose and tenant as its
 * encryption context. What a role's credentials may do is decided there, by conditions on that context.
 *
 * Which keys there are, and a secret that passwords follow from, wrapped, is kept beside at `filePath`; it is made with the first start.
 * @throws kms_remote.*, kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file
 */
export async function openAwsKms(filePath: string, options: AwsKmsOptions): Promise<AwsKms> {
  const opened = new Opened(filePath, options);
  try {
    const file = (await readRemoteFile(filePath, FORMAT)) ?? (await createFile(opened));
    const passwordSecret = await roleKms(opened, 'operator', file).unwrap(file.passwordSecret, passwordContext);
    return providerOf(opened, file, passwordSecret);
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** Clients for each role, made when they are first used, over one file. */
class Opened {
  readonly filePath: string;
  readonly options: AwsKmsOptions;
  readonly random: Random;
  readonly clock: Clock;
  readonly #clients = new Map<string, KMSClient>();

  constructor(filePath: string, options: AwsKmsOptions) {
    this.filePath = filePath;
    this.options = options;
    this.random = options.random ?? systemRandom;
    this.clock = options.clock ?? systemClock;
  }

  clientFor(role: KmsRole): KMSClient {
    const profile = this.options.profile?.replaceAll('{role}', role);
    const known = this.#clients.get(profile ?? '');
    if (known) return known;
    const made = makeAwsClient(this.options, { profile });
    this.#clients.set(profile ?? '', made);
    return made;
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy();
  }
}

/** The keys of a role as they are known, and as they are. */
type AwsKeys = {
  readonly keySet: string;
  known(): readonly string[];
  /** ARNs, oldest first; the last one wraps. */
  newest(): Promise<readonly string[]>;
};

function keysIn(opened: Opened, first: RemoteFile): AwsKeys {
  let known = first.keys.map(({ arn }) => arn);
  const read = singleFlight(async () => {
    const file = await readRemoteFile(opened.filePath, FORMAT);
    if (!file) throw keyChangeErrors.file_gone({ filePath: opened.filePath });
    known = file.keys.map(({ arn }) => arn);
    return known;
  });
  return { keySet: first.keySet, known: () => known, newest: read };
}

function roleKms(opened: Opened, role: KmsRole, file: RemoteFile): Kms {
  return awsKms(() => opened.clientFor(role), role, keysIn(opened, file));
}

function providerOf(opened: Opened, file: RemoteFile, passwordSecret: Uint8Array): AwsKms {
  const { filePath, random } = opened;
  const forRole = (role: KmsRole) => roleKms(opened, role, file);
  const change = (make: (content: RemoteFile) => Promise<RemoteFile>) =>
    changeRemoteFile(filePath, make, { format: FORMAT, random });
  const read = async () => {
    const now = await readRemoteFile(filePath, FORMAT);
    if (!now) throw keyChangeErrors.file_gone({ filePath });
    return now;
  };
  return {
    kind: 'aws',
    forRole,
    accessFor: async (role) => accessOf(opened, role, await read()),
    derivePassword: (purpose) => passwordFrom(passwordSecret, purpose),
    listKeys: async () =>
      (await read()).keys.map(({ arn, createdAt }) => ({ keyId: keyIdOf(arn), role: null, createdAt })),
    addKeys: () =>
      change(async (content) => {
        if (content.keys.length > 1) return content;
        return { ...content, keys: [...content.keys, await makeKey(opened, content.keySet)] };
      }),
    rewrapOwn: () =>
      change(async (content) => ({
        ...content,
        passwordSecret: await forRole('operator').wrap(passwordSecret, passwordContext),
      })),
    removeKeys: (keyIds) => change((content) => removeKeys(opened, content, keyIds)),
    close: async () => opened.close(),
  };
}

async function accessOf(opened: Opened, role: KmsRole, { keySet, keys }: RemoteFile): Promise<RoleAccess> {
  const { region, endpoint } = opened.options;
  const credentials = await credentialsOf(opened.clientFor(role));
  const secret = new TextEncoder().encode(JSON.stringify(credentials));
  return { kind: 'aws', keySet, region, endpoint, keys: keys.map(({ arn }) => arn), secret };
}

async function removeKeys(opened: Opened, content: RemoteFile, keyIds: readonly string[]): Promise<RemoteFile> {
  const isGone = (arn: string) => keyIds.includes(keyIdOf(arn));
  const newest = content.keys.at(-1)?.arn ?? '';
  const needed = parseWrapped(content.passwordSecret, 'operator', passwordContext).keyId;
  for (const keyId of [keyIdOf(newest), needed]) if (keyIds.includes(keyId)) throw keyChangeErrors.last_key({ keyId });
  for (const { arn } of content.keys) if (isGone(arn)) await deleteKey(opened, arn);
  return { ...content, keys: content.keys.filter(({ arn }) => !isGone(arn)) };
}

/** One that is to be deleted already stays so. */
async function deleteKey(opened: Opened, arn: string): Promise<void> {
  const command = new ScheduleKeyDeletionCommand({ KeyId: arn, PendingWindowInDays: PENDING_DAYS });
  const already = new Error('already');
  await calling(
    (options) => opened.clientFor('operator').send(command, options),
    (name) => (name === 'KMSInvalidStateException' ? already : undefined),
  ).catch((error: unknown) => {
    if (error !== already) throw error;
  });
}

async function makeKey(opened: Opened, keySet: string): Promise<RemoteFile['keys'][number]> {
  const client = opened.clientFor('operator');
  const made = await calling((options) =>
    client.send(
      new CreateKeyCommand({
        Description: `Holdfast: wraps the secrets of the installation ${keySet}`,
        KeySpec: 'SYMMETRIC_DEFAULT',
        KeyUsage: 'ENCRYPT_DECRYPT',
        Tags: [{ TagKey: 'holdfast-key-set', TagValue: keySet }],
      }),
      options,
    ),
  );
  const arn = made.KeyMetadata?.Arn;
  if (arn === undefined) throw remoteErrors.refused({ reason: 'CreateKey told no key' });
  const kms = awsKms(() => client, 'operator', { keySet, known: () => [arn], newest: () => Promise.resolve([arn]) });
  for (let tries = 1; ; tries++) {
    const error = await kms.wrap(new Uint8Array(1), passwordContext).then(
      () => undefined,
      (failed: unknown) => failed,
    );
    if (error === undefined) break;
    if ((error as { code?: unknown }).code !== remoteErrors.key_unusable.code || tries === SETTLE.tries) throw error;
    await opened.clock.sleep(SETTLE.everyMs);
  }
  return { arn, createdAt: new Date(opened.clock.now()).toISOString() };
}

/** Of those that start at once the first one's file counts; the keys of the others are removed again. */
async function createFile(opened: Opened): Promise<RemoteFile> {
  const keySet = opened.random(8).toHex();
  const key = await makeKey(opened, keySet);
  const draft: RemoteFile = { format: FORMAT, keySet, keys: [key], passwordSecret: '' };
  const own = { keySet, known: () => [key.arn], newest: () => Promise.resolve([key.arn]) };
  const secret = opened.random(PASSWORD_SECRET_BYTES);
  const wrapped = await awsKms(() => opened.clientFor('operator'), 'operator', own).wrap(secret, passwordContext);
  secret.fill(0);
  const isFirst = await createRemoteFile(opened.filePath, { ...draft, passwordSecret: wrapped }, opened.random);
  if (!isFirst) await deleteKey(opened, key.arn);
  return (await readRemoteFile(opened.filePath, FORMAT))!;
}

/** The `Kms` of one role alone from what it was told, for a role that is a process of its own. */
export function openAwsRoleKms(
  role: KmsRole,
  access: Extract<RoleAccess, { readonly kind: 'aws' }>,
  ask: () => Promise<RoleAccess | undefined>,
): Kms {
  let now = access;
  const newest = singleFlight(async () => {
    const told = await ask();
    if (told?.kind === 'aws') now = told;
    return now.keys;
  });
  let isFirst = true;
  const client = makeAwsClient(access, {
    async readCredentials() {
      if (!isFirst) await newest();
      isFirst = false;
      return AwsCredentials.parse(JSON.parse(new TextDecoder().decode(now.secret)));
    },
  });
  return awsKms(() => client, role, { keySet: access.keySet, known: () => now.keys, newest });
}

function awsKms(client: () => KMSClient, role: KmsRole, keys: AwsKeys): Kms {
  const contextOf = ({ purpose, tenantId }: KmsContext) => ({
    'holdfast-key-set': keys.keySet,
    'holdfast-role': role,
    'holdfast-purpose': purpose,
    ...(tenantId !== undefined && { 'holdfast-tenant': tenantId }),
  });
  return {
    role,
    async wrap(secret, context) {
      const arn = (await keys.newest()).at(-1)!;
      // No text is empty then, which the service does not take.
      const plain = Buffer.concat([Uint8Array.of(1), secret]);
      const command = new EncryptCommand({ KeyId: arn, Plaintext: plain, EncryptionContext: contextOf(context) });
      const sealed = await calling((options) => client().send(command, options)).finally(() => plain.fill(0));
      if (!sealed.CiphertextBlob) throw remoteErrors.refused({ reason: 'Encrypt told nothing' });
      return formatWrapped({ keyId: keyIdOf(arn), role }, sealed.CiphertextBlob);
    },
    async unwrap(wrapped, context) {
      const { keyId, sealed } = parseWrapped(wrapped, role, context);
      const facts = { keyId, role, purpose: context.purpose };
      const find = (arns: readonly string[]) => arns.find((arn) => keyIdOf(arn) === keyId);
      // What is joined first may have begun before the key was added.
      const arn = find(keys.known()) ?? find(await keys.newest()) ?? find(await keys.newest());
      if (arn === undefined) throw kmsErrors.unknown_key(facts);
      if (sealed.length === 0) throw kmsErrors.not_opened(facts);
      const command = new DecryptCommand({ KeyId: arn, CiphertextBlob: sealed, EncryptionContext: contextOf(context) });
      const { Plaintext: plain } = await calling(
        (options) => client().send(command, options),
        (name) =>
          name === 'InvalidCiphertextException' || name === 'IncorrectKeyException'
            ? kmsErrors.not_opened(facts)
            : undefined,
      );
      if (plain?.[0] !== 1) throw kmsErrors.not_opened(facts);
      const secret = Uint8Array.from(plain.subarray(1));
      plain.fill(0);
      return secret;
    },
  };
}

/** The last part of an ARN, which names the key within its region and account. */
function keyIdOf(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}
