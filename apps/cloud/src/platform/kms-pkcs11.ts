import { systemRandom, type Random } from '@holdfast/base';
import { z } from 'zod';
import { lockFile } from './file-lock.ts';
import {
  associatedData,
  formatWrapped,
  keyChangeErrors,
  kmsErrors,
  kmsRoles,
  parseWrapped,
  passwordFrom,
  type Kms,
  type KmsContext,
  type KmsProvider,
  type KmsRole,
} from './kms.ts';
import { tokenErrors } from './pkcs11-calls.ts';
import { createOwnFile, readOwnFile, replaceOwnFile } from './own-file.ts';
import {
  destroyTokenKey,
  findTokenKeys,
  makeTokenKey,
  NONCE_BYTES,
  openInToken,
  refuseWeakKey,
  sealInToken,
  TAG_BYTES,
  type TokenKey,
} from './token-keys.ts';
import { TokenSession, type SessionCalls, type TokenPlace } from './token-session.ts';

const TokenFile = z.strictObject({
  format: z.literal('holdfast-token-keys-v1'),
  /** Names the keys of this installation among those of others in the same token. */
  keySet: z.string().regex(/^[0-9a-f]{16}$/),
  /** Wrapped for the role operator: passwords follow from it. */
  passwordSecret: z.string(),
});
type TokenFile = z.infer<typeof TokenFile>;

const passwordContext: KmsContext = { purpose: 'password-secret' };
const PASSWORD_SECRET_BYTES = 32;

/** How keys in a token are opened. */
export type TokenKmsOptions = TokenPlace & { readonly random?: Random };

/** Keys in a token. */
export type TokenKms = KmsProvider & {
  readonly kind: 'pkcs11';
  /** Names this installation's keys in the token: with the token and its PIN all that `openTokenRoleKms` needs. */
  readonly keySet: string;
};

/**
 * Opens the keys that a token (PKCS #11) keeps: an AES-256 key for each server role, made in it and never leaving it.
 *
 * Passwords follow from a secret that is kept beside, at `filePath`, wrapped by the token; it is made with the first start.
 * @throws kms_token.*, kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file
 */
export async function openTokenKms(filePath: string, options: TokenKmsOptions): Promise<TokenKms> {
  const { random = systemRandom } = options;
  const session = new TokenSession(options);
  try {
    const file = (await readTokenFile(filePath)) ?? (await createTokenFile(filePath, session, random));
    return await tokenProvider({ filePath, session, random, place: options }, file);
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** The `Kms` of one role alone from a token, for a role that is a process of its own. */
export function openTokenRoleKms(role: KmsRole, options: TokenKmsOptions & { readonly keySet: string }): Kms {
  return tokenRoleKms(
    { session: new TokenSession(options), random: options.random ?? systemRandom },
    options.keySet,
    role,
  );
}

type Opened = { readonly filePath: string; readonly session: TokenSession; readonly random: Random };
type OpenedAt = Opened & { readonly place: TokenPlace };

async function tokenProvider(
  { filePath, session, random, place }: OpenedAt,
  { keySet, ...file }: TokenFile,
): Promise<TokenKms> {
  const forRole = (role: KmsRole) => tokenRoleKms({ session, random }, keySet, role);
  const passwordSecret = await forRole('operator').unwrap(file.passwordSecret, passwordContext);
  const change = async <T>(work: () => Promise<T>): Promise<T> => {
    const lock = lockFile(`${filePath}.lock`);
    if (!lock) throw keyChangeErrors.under_way({ filePath });
    return work().finally(() => lock.release());
  };
  const inEachRole = <T>(work: (calls: SessionCalls, role: KmsRole) => Promise<T>) => eachRole(session, work);
  return {
    kind: 'pkcs11',
    keySet,
    forRole,
    async accessFor() {
      const { modulePath, tokenLabel, readPin } = place;
      const pin = await readPin();
      if (pin === undefined) throw tokenErrors.no_pin({ field: 'HOLDFAST_KMS_SECRET_FILE' });
      return { kind: 'pkcs11', keySet, modulePath, tokenLabel, secret: Uint8Array.from(pin) };
    },
    derivePassword: (purpose) => passwordFrom(passwordSecret, purpose),
    async listKeys() {
      const found = await inEachRole(async (calls, role) =>
        (await findTokenKeys(calls, labelOf(keySet, role))).map(({ keyId }) => ({ keyId, role, createdAt: null })),
      );
      return found.flat();
    },
    addKeys: () =>
      change(async () => {
        await inEachRole(async (calls, role) => {
          const label = labelOf(keySet, role);
          if ((await findTokenKeys(calls, label)).length === 1) await makeTokenKey(calls, label, random);
        });
      }),
    rewrapOwn: () =>
      change(async () => {
        const wrapped = await forRole('operator').wrap(passwordSecret, passwordContext);
        await replaceOwnFile(filePath, formatTokenFile({ keySet, passwordSecret: wrapped }), random);
      }),
    removeKeys: (keyIds) =>
      change(async () => {
        await refuseKeyInUse(filePath, keyIds);
        await inEachRole((calls, role) => removeTokenKeys(calls, labelOf(keySet, role), keyIds));
      }),
    close: () => session.close(),
  };
}

async function eachRole<T>(
  session: TokenSession,
  work: (calls: SessionCalls, role: KmsRole) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const role of kmsRoles) results.push(await session.run((calls) => work(calls, role)));
  return results;
}

/** Without it no password follows any more. */
async function refuseKeyInUse(filePath: string, keyIds: readonly string[]): Promise<void> {
  const file = await readTokenFile(filePath);
  if (!file) throw keyChangeErrors.file_gone({ filePath });
  const { keyId } = parseWrapped(file.passwordSecret, 'operator', passwordContext);
  if (keyIds.includes(keyId)) throw keyChangeErrors.last_key({ keyId });
}

async function removeTokenKeys(calls: SessionCalls, label: string, keyIds: readonly string[]): Promise<void> {
  const keys = await findTokenKeys(calls, label);
  const newest = keys.at(-1);
  if (newest && keyIds.includes(newest.keyId)) throw keyChangeErrors.last_key({ keyId: newest.keyId });
  for (const key of keys) if (keyIds.includes(key.keyId)) await destroyTokenKey(calls, key);
}

function tokenRoleKms({ session, random }: Pick<Opened, 'session' | 'random'>, keySet: string, role: KmsRole): Kms {
  const label = labelOf(keySet, role);
  return {
    role,
    wrap: (secret, context) =>
      session.run(async (calls) => {
        const key = (await findTokenKeys(calls, label)).at(-1) ?? (await makeTokenKey(calls, label, random));
        await refuseWeakKey(calls, key);
        const nonce = random(NONCE_BYTES);
        const associated = associatedData(key.keyId, role, context);
        const sealed = await sealInToken(calls, key, secret, { nonce, associated });
        return formatWrapped({ keyId: key.keyId, role }, Buffer.concat([nonce, sealed]));
      }),
    async unwrap(wrapped, context) {
      const { keyId, sealed } = parseWrapped(wrapped, role, context);
      const facts = { keyId, role, purpose: context.purpose };
      return session.run(async (calls) => {
        const key = (await findTokenKeys(calls, label)).find((each) => each.keyId === keyId);
        if (!key) throw kmsErrors.unknown_key(facts);
        const opened = await openBody(calls, key, sealed, associatedData(keyId, role, context));
        if (!opened) throw kmsErrors.not_opened(facts);
        return opened;
      });
    },
  };
}

/** Undefined where something differs from what was wrapped. */
async function openBody(calls: SessionCalls, key: TokenKey, body: Uint8Array, associated: Uint8Array) {
  if (body.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const [nonce, sealed] = [body.subarray(0, NONCE_BYTES), body.subarray(NONCE_BYTES)];
  return openInToken(calls, key, sealed, { nonce, associated });
}

function labelOf(keySet: string, role: KmsRole): string {
  return `holdfast ${keySet} ${role}`;
}

async function readTokenFile(filePath: string): Promise<TokenFile | undefined> {
  const text = await readOwnFile(filePath);
  if (text === undefined) return undefined;
  const parsed = TokenFile.safeParse(parseJson(text));
  if (!parsed.success) throw kmsErrors.bad_key_file({ filePath }, parsed.error);
  return parsed.data;
}

/** Of those that start at once the first one's file counts; the keys of the others are removed again. */
async function createTokenFile(filePath: string, session: TokenSession, random: Random): Promise<TokenFile> {
  const keySet = random(8).toHex();
  const operator = tokenRoleKms({ session, random }, keySet, 'operator');
  const passwordSecret = await operator.wrap(random(PASSWORD_SECRET_BYTES), passwordContext);
  const isFirst = await createOwnFile(filePath, formatTokenFile({ keySet, passwordSecret }), random);
  if (!isFirst)
    await session.run(async (calls) => {
      for (const key of await findTokenKeys(calls, labelOf(keySet, 'operator'))) await destroyTokenKey(calls, key);
    });
  return (await readTokenFile(filePath))!;
}

function formatTokenFile(content: Omit<TokenFile, 'format'>): string {
  const file: TokenFile = { format: 'holdfast-token-keys-v1', ...content };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
