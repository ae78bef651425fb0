import { hkdfSync } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { singleFlight, systemRandom, type Random } from '@holdfast/base';
import { lockFile } from './file-lock.ts';
import {
  keyChangeErrors,
  passwordFrom,
  roleKms,
  type KmsProvider,
  type KmsRole,
  type RoleKey,
  type RoleKeySource,
  type SeparateRole,
} from './kms.ts';
import type { ReadKmsSecret } from './kms-secret.ts';
import {
  createMasterKeys,
  makeMasterKey,
  makePasswordSecret,
  MIN_PASSPHRASE_CHARACTERS,
  PASSPHRASE_COST,
  passphraseErrors,
  readMasterKeys,
  replaceMasterKeys,
  type MasterKey,
  type MasterKeys,
  type PassphraseCost,
} from './master-key-file.ts';

/** A master key file that was opened. */
export type KeyFileKms = KmsProvider & {
  readonly kind: 'file';
  /** All that a role which is a process of its own needs for `openRoleKms`, oldest first. */
  roleKeys(role: SeparateRole): readonly RoleKey[];
  /** Whether a passphrase closes the file as it is now. */
  hasPassphrase(): Promise<boolean>;
  /** Closes the file with another passphrase, or with none; the one before no longer opens it. @throws kms_passphrase.too_short */
  setPassphrase(passphrase: Uint8Array | undefined): Promise<void>;
};

/** How a master key file is opened. */
export type KeyFileOptions = {
  readonly nowMs: number;
  readonly random?: Random;
  /** Reads the passphrase when the file wants one; with one, a new file is closed with it. */
  readonly readSecret?: ReadKmsSecret;
  /** What closing a file costs. */
  readonly cost?: PassphraseCost;
};

/**
 * Opens the file of master keys at `filePath`, and makes it with one random key when there is none.
 *
 * A change of the file by another process is followed: its newest key wraps from then on, and keys known once open on.
 * @throws kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file, kms_passphrase.missing, kms_passphrase.wrong
 */
export async function openKeyFileKms(filePath: string, options: KeyFileOptions): Promise<KeyFileKms> {
  const { random = systemRandom, readSecret = () => Promise.resolve(undefined), cost = PASSPHRASE_COST } = options;
  const makeKey = () => makeMasterKey(options.nowMs, random);
  const read = () => readMasterKeys(filePath, readSecret);
  if (!(await read())) {
    const content = { keys: [makeKey()], passwordSecret: makePasswordSecret(random) };
    const passphrase = longEnough(await readSecret());
    await createMasterKeys(filePath, content, { random, passphrase, cost });
  }
  const followed = await followFile(filePath, read);
  /** Reads, changes and replaces the file while nobody else does. */
  const change = async (
    make: (content: MasterKeys) => Omit<MasterKeys, 'hasPassphrase'>,
    passphraseFor: (content: MasterKeys) => Promise<Uint8Array | undefined> = ({ hasPassphrase }) =>
      hasPassphrase ? readSecret() : Promise.resolve(undefined),
  ) => {
    const lock = lockFile(`${filePath}.lock`);
    if (!lock) throw keyChangeErrors.under_way({ filePath });
    try {
      const content = await read();
      if (!content) throw keyChangeErrors.file_gone({ filePath });
      const passphrase = await passphraseFor(content);
      await replaceMasterKeys(filePath, make(content), { random, passphrase, cost });
      await followed.newest();
    } finally {
      lock.release();
    }
  };
  return {
    kind: 'file',
    forRole: (role) => roleKms(sourceFor(followed, role), role, random),
    roleKeys: (role) => roleKeysOf(followed.known(), role),
    accessFor: async (role) => ({ kind: 'keys', keys: roleKeysOf(await followed.newest(), role) }),
    derivePassword: (purpose) => passwordFrom(followed.passwordSecret, purpose),
    listKeys: async () =>
      (await followed.inFile()).keys.map(({ keyId, createdAt }) => ({ keyId, role: null, createdAt })),
    addKeys: () =>
      change((content) => (content.keys.length > 1 ? content : { ...content, keys: [...content.keys, makeKey()] })),
    rewrapOwn: () => Promise.resolve(),
    removeKeys: (keyIds) => change((content) => without(content, keyIds)),
    close: () => Promise.resolve(),
    hasPassphrase: async () => (await followed.inFile()).hasPassphrase,
    setPassphrase: async (passphrase) => {
      const checked = longEnough(passphrase);
      await change(
        (content) => content,
        () => Promise.resolve(checked),
      );
    },
  };
}

function without(content: MasterKeys, keyIds: readonly string[]): MasterKeys {
  const newest = content.keys.at(-1)!;
  if (keyIds.includes(newest.keyId)) throw keyChangeErrors.last_key({ keyId: newest.keyId });
  return { ...content, keys: content.keys.filter(({ keyId }) => !keyIds.includes(keyId)) };
}

function longEnough(passphrase: Uint8Array | undefined): Uint8Array | undefined {
  if (passphrase === undefined) return undefined;
  if (Array.from(Buffer.from(passphrase).toString('utf8')).length < MIN_PASSPHRASE_CHARACTERS)
    throw passphraseErrors.too_short({ field: 'passphrase', atLeast: MIN_PASSPHRASE_CHARACTERS });
  return passphrase;
}

type FollowedFile = {
  readonly passwordSecret: Uint8Array;
  known(): readonly MasterKey[];
  newest(): Promise<readonly MasterKey[]>;
  /** What the file holds now. */
  inFile(): Promise<MasterKeys>;
};

/** The keys of a file that other processes change. Keys that were removed open until this process ends: it may hold what they wrap. */
async function followFile(filePath: string, read: () => Promise<MasterKeys | undefined>): Promise<FollowedFile> {
  let seen = await signOf(filePath);
  let content = await read();
  if (!content) throw keyChangeErrors.file_gone({ filePath });
  let known = content.keys;
  const { passwordSecret } = content;
  const follow = singleFlight(async () => {
    const sign = await signOf(filePath);
    if (sign === undefined || sign === seen) return;
    const now = await read();
    if (!now) return;
    const gone = known.filter(({ keyId }) => !now.keys.some((key) => key.keyId === keyId));
    known = [...gone, ...now.keys];
    content = now;
    seen = sign;
  });
  return {
    passwordSecret,
    known: () => known,
    async newest() {
      // Without its new passphrase the file cannot be followed; the keys known open on, and a database refuses what is wrapped with a retired one.
      await follow().catch(ignorePassphrase);
      return known;
    },
    async inFile() {
      await follow();
      return content!;
    },
  };
}

function ignorePassphrase(error: unknown): void {
  const { code } = error as { readonly code?: unknown };
  if (code !== passphraseErrors.missing.code && code !== passphraseErrors.wrong.code) throw error;
}

/** What differs whenever the file was replaced. */
async function signOf(filePath: string): Promise<string | undefined> {
  const facts = await stat(filePath, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return facts && `${facts.ino} ${facts.size} ${facts.mtimeNs} ${facts.ctimeNs}`;
}

function sourceFor(followed: FollowedFile, role: KmsRole): RoleKeySource {
  if (role !== 'keystore') return followed;
  return {
    known: () => roleKeysOf(followed.known(), role),
    newest: async () => roleKeysOf(await followed.newest(), role),
  };
}

function roleKeysOf(keys: readonly MasterKey[], role: SeparateRole): readonly RoleKey[] {
  const derive = (key: Uint8Array) => hkdfSync('sha256', key, new Uint8Array(), `holdfast role key v1 ${role}`, 32);
  return keys.map(({ keyId, key }) => ({ keyId, key: new Uint8Array(derive(key)) }));
}
