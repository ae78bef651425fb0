import { createPrivateKey, createPublicKey, sign as signWith, type KeyObject } from 'node:crypto';
import { fstatSync, openSync, closeSync, readFileSync } from 'node:fs';
import type { Random } from '@holdfast/base';
import { PersonCard, type Route } from '@holdfast/contract';
import { anonymous, call, type ClientOptions } from '@holdfast/sdk';
import { z } from 'zod';
import { fetchCa } from '../cloud/enroll.ts';
import { createHttpsFetch, type HttpsSettings } from '../cloud/https-fetch.ts';
import { writePrivateFile } from '../state/write-private.ts';
import { releaseClientErrors } from './errors.ts';
import { keptRequestsIn } from './kept-requests.ts';
import { ReleaseClient, type ReleaseClientOptions } from './release-client.ts';

/** A person's key as its file has it; Ed25519. */
const PersonKeyFile = z.strictObject({
  version: z.literal(1),
  kind: z.literal('holdfast-person-key'),
  publicKey: z.string(),
  /** 32 bytes, base64url. */
  seed: z.string(),
});

/** A person's key, for signing. */
export type PersonKey = { readonly publicKey: string; readonly privateKey: KeyObject };

/** A new key as the text of its file. */
export function makePersonKey(random: Random): { readonly text: string; readonly publicKey: string } {
  const seed = random(32);
  try {
    const { publicKey } = keyOf(seed);
    const content = {
      version: 1,
      kind: 'holdfast-person-key',
      publicKey,
      seed: Buffer.from(seed).toString('base64url'),
    };
    return { text: `${JSON.stringify(content)}\n`, publicKey };
  } finally {
    seed.fill(0);
  }
}

/** Reads a person's key, which nobody else may be able to read. @throws key_release.key_file_invalid */
export function readPersonKey(file: string): PersonKey {
  const parsed = PersonKeyFile.safeParse(parse(readPrivate(file)));
  if (!parsed.success) throw releaseClientErrors.key_file_invalid({ file });
  const seed = new Uint8Array(Buffer.from(parsed.data.seed, 'base64url'));
  if (seed.length !== 32) throw releaseClientErrors.key_file_invalid({ file });
  const key = keyOf(seed);
  seed.fill(0);
  if (key.publicKey !== parsed.data.publicKey) throw releaseClientErrors.key_file_invalid({ file });
  return key;
}

/** Keeps the card of a key beside it. @throws key_release.card_invalid, key_release.key_file_invalid */
export function acceptCard(keyFile: string, cardText: string): PersonCard {
  const { publicKey } = readPersonKey(keyFile);
  const parsed = PersonCard.safeParse(parse(cardText));
  if (!parsed.success || parsed.data.publicKey !== publicKey) throw releaseClientErrors.card_invalid({ publicKey });
  writePrivateFile(cardFileOf(keyFile), `${JSON.stringify(parsed.data)}\n`);
  return parsed.data;
}

/** The card that was kept beside a key; undefined where there is none. @throws key_release.card_invalid */
export function readCard(keyFile: string): PersonCard | undefined {
  let text: string;
  try {
    text = readFileSync(cardFileOf(keyFile), 'utf8');
  } catch {
    return undefined;
  }
  const parsed = PersonCard.safeParse(parse(text));
  if (!parsed.success) throw releaseClientErrors.card_invalid({ file: cardFileOf(keyFile) });
  return parsed.data;
}

/**
 * Does something about releases as a person: over TLS with the CA that the card names, and no other.
 *
 * @throws key_release.no_card, cloud_link.ca_mismatch, cloud_link.ca_unreachable, sdk.unreachable, and what `work` throws
 */
export async function withPerson<T>(
  keyFile: string,
  { proxyEnv }: Pick<HttpsSettings, 'proxyEnv'>,
  work: (client: ReleaseClient, card: PersonCard) => Promise<T>,
): Promise<T> {
  const { publicKey, privateKey } = readPersonKey(keyFile);
  const card = readCard(keyFile);
  if (!card) throw releaseClientErrors.no_card({ keyFile });
  const { url, installationId, tenantUid, caSha256, logKey } = card;
  const proxy = proxyEnv ? { proxyEnv } : {};
  const ca = caSha256 === null ? undefined : await fetchCa(url, caSha256, proxy);
  const https = createHttpsFetch({ ca, ...proxy });
  try {
    const options = { baseUrl: url, fetch: https.fetch, credentials: anonymous };
    const sign = (message: Uint8Array) => signWith(null, message, privateKey);
    const client = new ReleaseClient({
      identity: { installationId, tenantUid, publicKey, sign, logKey },
      call: callerOf(options),
      requests: keptRequestsIn(`${keyFile}.releases`),
    });
    return await work(client, card);
  } finally {
    https.close();
  }
}

/** The same as a device's call; what a generic reply is when it is awaited, the compiler does not work out. */
function callerOf(options: ClientOptions): ReleaseClientOptions['call'] {
  const ask = <R extends Route>(route: R, input: Parameters<typeof call<R>>[2]) => call(options, route, input);
  return ask as unknown as ReleaseClientOptions['call'];
}

function cardFileOf(keyFile: string): string {
  return `${keyFile}.card`;
}

function readPrivate(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw releaseClientErrors.key_file_invalid({ file, problem: (error as Error).message }, error);
  }
  try {
    const { mode } = fstatSync(fd);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw releaseClientErrors.key_file_invalid({ file, problem: 'others can read it: chmod 600' });
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function keyOf(seed: Uint8Array): PersonKey {
  const privateKey = createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  const raw = createPublicKey(privateKey).export({ format: 'raw-public' });
  return { privateKey, publicKey: Buffer.from(raw).toString('base64url') };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
