import { defineErrors, systemClock, type Clock, type Random } from '@holdfast/base';
import { z } from 'zod';
import { lockFile } from './file-lock.ts';
import { keyChangeErrors, kmsErrors, type KmsContext } from './kms.ts';
import { createOwnFile, readOwnFile, replaceOwnFile } from './own-file.ts';

/** Failures of a service elsewhere that keeps keys. */
export const remoteErrors = defineErrors('kms_remote', {
  away: ['unavailable', 'The key service does not answer just now'],
  throttled: ['unavailable', 'The key service takes no more requests just now'],
  denied: ['forbidden', 'The key service does not let this role do that'],
  no_credentials: ['invalid', 'There are no credentials for the key service'],
  key_unusable: ['forbidden', 'A key is disabled in the key service, or is to be deleted there'],
  weak_key: ['forbidden', 'A key of the key service can be taken out of it, or is of another kind'],
  unbound: ['forbidden', 'The key service does not bind secrets to what they are for; its version is too old'],
  refused: ['corrupt', 'The key service refused a call, or answered in a form nobody knows'],
});

/** What one use of a key may take, with all tries; the callers of the keystore wait longer. */
export const REMOTE_MS = 9_000;

/** Gives work so long; what it began is aborted. @throws kms_remote.away */
export async function within<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { timeoutMs = REMOTE_MS, clock = systemClock }: { readonly timeoutMs?: number; readonly clock?: Clock } = {},
): Promise<T> {
  const [done, late] = [new AbortController(), new AbortController()];
  const timer = clock.sleep(timeoutMs, done.signal).then(
    () => {
      late.abort();
      throw remoteErrors.away({ reason: 'no answer in time' });
    },
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work(late.signal), timer]);
  } finally {
    done.abort();
  }
}

const Content = z.strictObject({
  format: z.enum(['holdfast-aws-keys-v1', 'holdfast-vault-keys-v1']),
  /** Names the keys of this installation among those of others in the same service. */
  keySet: z.string().regex(/^[0-9a-f]{16}$/),
  /** ARNs, oldest first, where the service does not number keys itself. */
  keys: z.array(z.strictObject({ arn: z.string(), createdAt: z.iso.datetime() })).max(1_000),
  /** Wrapped for the role operator: passwords follow from it. */
  passwordSecret: z.string(),
});

/** What is kept here of keys that are elsewhere. */
export type RemoteFile = z.infer<typeof Content>;

/** How the secret of passwords is bound. */
export const passwordContext: KmsContext = { purpose: 'password-secret' };
/** Length of the secret of passwords. */
export const PASSWORD_SECRET_BYTES = 32;

/** Reads it; undefined where there is none. @throws kms.bad_key_file, kms.exposed_key_file, kms.foreign_key_file */
export async function readRemoteFile(filePath: string, format: RemoteFile['format']): Promise<RemoteFile | undefined> {
  const text = await readOwnFile(filePath);
  if (text === undefined) return undefined;
  const parsed = Content.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.format !== format) throw kmsErrors.bad_key_file({ filePath }, parsed.error);
  return parsed.data;
}

/** Writes it unless there is one; says whether it was this one. */
export function createRemoteFile(filePath: string, content: RemoteFile, random: Random): Promise<boolean> {
  return createOwnFile(filePath, format(content), random);
}

/** Changes it while nobody else does. @throws kms_change.under_way, kms_change.file_gone */
export async function changeRemoteFile(
  filePath: string,
  make: (content: RemoteFile) => Promise<RemoteFile>,
  { format: of, random }: { readonly format: RemoteFile['format']; readonly random: Random },
): Promise<void> {
  const lock = lockFile(`${filePath}.lock`);
  if (!lock) throw keyChangeErrors.under_way({ filePath });
  try {
    const content = await readRemoteFile(filePath, of);
    if (!content) throw keyChangeErrors.file_gone({ filePath });
    const changed = await make(content);
    if (changed !== content) await replaceOwnFile(filePath, format(changed), random);
  } finally {
    lock.release();
  }
}

function format(content: RemoteFile): string {
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
