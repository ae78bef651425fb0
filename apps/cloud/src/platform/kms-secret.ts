import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { defineErrors } from '@holdfast/base';
import { isForeign } from './state-folder.ts';

/** What is wrong with what opens the keys. */
export const kmsSecretErrors = defineErrors('kms_secret', {
  not_read: ['invalid', 'The file of the secret that opens the keys cannot be read'],
  foreign: ['forbidden', 'The file of the secret that opens the keys belongs to another user'],
  exposed: ['forbidden', 'The file of the secret that opens the keys can be read by others than its owner'],
  malformed: ['invalid', 'The secret that opens the keys must be one line of UTF-8, 1 to 1024 bytes'],
});

/** Where the passphrase or PIN that opens the keys is read from. It is never in an argument or in the environment. */
export type KmsSecretPlace = {
  /** A file with one line, `-` for standard input; undefined for the credential `holdfast-kms`, where there is one. */
  readonly secretFile: string | undefined;
  /** Of systemd: the folder of the credentials of this unit. */
  readonly credentialsDir: string | undefined;
};

/** Reads the secret, each time anew; undefined where none is given. */
export type ReadKmsSecret = () => Promise<Uint8Array | undefined>;

/** The credential of a unit that is taken when no file is named. */
export const KMS_CREDENTIAL = 'holdfast-kms';

const MAX_BYTES = 1024;

/** A reader of the secret; standard input is read once. */
export function kmsSecretReader(
  { secretFile, credentialsDir }: KmsSecretPlace,
  input: AsyncIterable<unknown> = process.stdin,
): ReadKmsSecret {
  if (secretFile === '-') {
    let read: Promise<Uint8Array> | undefined;
    return () => (read ??= readInput(input));
  }
  const file = secretFile ?? (credentialsDir === undefined ? undefined : path.join(credentialsDir, KMS_CREDENTIAL));
  if (file === undefined) return () => Promise.resolve(undefined);
  const isCredential =
    credentialsDir !== undefined && path.dirname(path.resolve(file)) === path.resolve(credentialsDir);
  return () => readSecretFile(file, { isCredential, isOptional: secretFile === undefined });
}

type Facts = { readonly isCredential: boolean; readonly isOptional: boolean };

async function readSecretFile(file: string, { isCredential, isOptional }: Facts): Promise<Uint8Array | undefined> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (isOptional && error.code === 'ENOENT') return undefined;
    throw kmsSecretErrors.not_read({ file, reason: error.code }, error);
  });
  if (!handle) return undefined;
  try {
    const facts = await handle.stat();
    // Root may have made it; systemd's credentials are root's and are opened to the unit's user by an access list.
    if (isForeign(facts) && facts.uid !== 0) throw kmsSecretErrors.foreign({ file });
    const isExposed = process.platform !== 'win32' && !isCredential && (facts.mode & 0o077) !== 0;
    if (isExposed) throw kmsSecretErrors.exposed({ file });
    const bytes = Buffer.alloc(MAX_BYTES + 3);
    const { bytesRead } = await handle.read(bytes);
    return oneLine(bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The first line; what feeds it may stay open. */
async function readInput(input: AsyncIterable<unknown>): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk as Uint8Array));
    if (chunks.some((each) => each.includes(0x0a)) || Buffer.concat(chunks).length > MAX_BYTES) break;
  }
  const all = Buffer.concat(chunks);
  const end = all.indexOf(0x0a);
  return oneLine(end === -1 ? all : all.subarray(0, end));
}

function oneLine(bytes: Buffer): Uint8Array {
  const text = bytes.toString('latin1').replace(/\r?\n$/, '');
  if (!isUtf8(bytes) || text.length === 0 || text.length > MAX_BYTES || /[\r\n\0]/.test(text))
    throw kmsSecretErrors.malformed();
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
