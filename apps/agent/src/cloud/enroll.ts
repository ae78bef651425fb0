import { createHash, createPrivateKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { CodedError, parseUuid, systemRandom, type Random } from '@holdfast/base';
import { deviceRoutes, EnrollmentToken, ENROLLMENT_PROOF_LABEL, problemsInWords } from '@holdfast/contract';
import { anonymous, call, textOf } from '@holdfast/sdk';
import { escrowKeysSha256, parseEscrowKeys } from '@holdfast/trust';
import type { DeviceKey, Enrollment, EnrollmentStore, PendingEnrollment } from './enrollment-store.ts';
import { cloudErrors } from './errors.ts';
import { createHttpsFetch, type HttpsSettings } from './https-fetch.ts';

/** What enrolling needs to know. */
export type EnrollRequest = {
  /** The text of the token file. */
  readonly tokenText: string;
  /** Where the person says the server is; must be the token's address. */
  readonly url?: string;
  readonly hostname: string;
  readonly os: string;
  readonly agentVersion: string;
  readonly proxyEnv?: HttpsSettings['proxyEnv'];
};

const MAX_CA_BYTES = 64 * 1024;
const CA_TIMEOUT_MS = 20_000;

/**
 * Enrols this computer with the server of a token, and keeps the enrolment.
 *
 * Nothing is trusted on first use: the CA must be the one whose hash the token has, and is the only one from then on. Run
 * again after an answer was lost, it goes on with the key it has made. An enrolment that is there and of no use is set aside.
 * @throws cloud_link.token_invalid, cloud_link.other_address, cloud_link.ca_mismatch, cloud_link.ca_unreachable,
 * cloud_link.already_enrolled, cloud_link.log_key_mismatch, cloud_link.escrow_keys_mismatch, and the server's enrollment and devices errors
 */
export async function enroll(
  request: EnrollRequest,
  store: EnrollmentStore,
  random: Random = systemRandom,
): Promise<Enrollment> {
  const token = parseToken(request);
  expectNotEnrolled(store);
  const { proxyEnv } = request;
  const proxy = proxyEnv ? { proxyEnv } : {};
  const caPem = token.caSha256 === null ? null : await fetchCa(token.url, token.caSha256, proxy);
  const pending = pendingFor(token.token, store, random);
  const { kty, crv, x } = pending.deviceKey;
  const https = createHttpsFetch({ ca: caPem ?? undefined, ...proxy });
  try {
    const options = { baseUrl: token.url, fetch: https.fetch, credentials: anonymous };
    const { hostname, os, agentVersion } = request;
    const body = { token: token.token, publicJwk: { kty, crv, x }, proof: prove(token, pending.deviceKey) };
    const about = { attempt: pending.attempt, hostname, os, agentVersion };
    const reply = await call(options, deviceRoutes.enroll, { body: { ...body, ...about } });
    if (sha256(reply.logKey).toString('hex') !== token.logKeySha256) throw cloudErrors.log_key_mismatch();
    const { installationId, tenantUid } = token;
    const { deviceUid, orgUid, logKey } = reply;
    const escrowKeys = pinnedEscrowKeys(token, reply.escrowKeys);
    const server = { version: 1, url: token.url, installationId, tenantUid, logKey, escrowKeys, caPem } as const;
    const enrollment = { ...server, orgUid, deviceUid, deviceKey: pending.deviceKey };
    store.save(enrollment);
    return enrollment;
  } finally {
    https.close();
  }
}

/** One that is damaged, or from before there were escrow keys, is no use to anybody: it is set aside for the new one. */
function expectNotEnrolled(store: EnrollmentStore): void {
  try {
    const enrolled = store.load();
    if (enrolled) throw cloudErrors.already_enrolled({ url: enrolled.url, deviceUid: enrolled.deviceUid });
  } catch (error) {
    if (!isUnusable(error)) throw error;
  }
}

function isUnusable(error: unknown): boolean {
  const codes = [cloudErrors.state_damaged.code, cloudErrors.enrolled_without_escrow.code];
  return error instanceof CodedError && codes.includes(error.code);
}

/** The tenant's escrow keys, if they are those whose hash the token has. @throws cloud_link.escrow_keys_mismatch */
function pinnedEscrowKeys({ escrowKeysSha256: expected, ...token }: EnrollmentToken, text: string): string {
  if (escrowKeysSha256(text) !== expected) throw cloudErrors.escrow_keys_mismatch();
  const { installationId, tenantUid } = parseEscrowKeys(text);
  if (installationId !== token.installationId || tenantUid !== token.tenantUid)
    throw cloudErrors.escrow_keys_mismatch();
  return text;
}

function parseToken({ tokenText, url }: EnrollRequest): EnrollmentToken {
  let json: unknown;
  try {
    json = JSON.parse(tokenText);
  } catch {
    throw cloudErrors.token_invalid({ problem: 'it is not JSON' });
  }
  const parsed = EnrollmentToken.safeParse(json);
  if (!parsed.success) throw cloudErrors.token_invalid(problemsInWords(parsed.error, json)[0]);
  const token = parsed.data;
  if (new URL(token.url).protocol !== 'https:')
    throw cloudErrors.token_invalid({ field: 'url', problem: 'it must begin with https://' });
  const asked = url === undefined || (URL.canParse(url) && new URL(url).origin === new URL(token.url).origin);
  if (!asked) throw cloudErrors.other_address({ asked: url, token: token.url });
  return { ...token, url: new URL(token.url).origin };
}

/** The key made for this token, or a new one, which is kept before it is used. */
function pendingFor(token: string, store: EnrollmentStore, random: Random): PendingEnrollment {
  const tokenSha256 = sha256(token).toString('hex');
  const before = store.loadPending();
  if (before?.tokenSha256 === tokenSha256) return before;
  const { privateKey } = generateKeyPairSync('ed25519');
  const { x = '', d = '' } = privateKey.export({ format: 'jwk' });
  const attempt = Buffer.from(random(16)).toString('base64url');
  const pending = { version: 1, tokenSha256, deviceKey: { kty: 'OKP', crv: 'Ed25519', x, d }, attempt } as const;
  store.savePending(pending);
  return pending;
}

function prove({ installationId, token }: EnrollmentToken, key: DeviceKey): string {
  const publicKey = Buffer.from(key.x, 'base64url');
  const parts = [Buffer.from(ENROLLMENT_PROOF_LABEL), parseUuid(installationId)!, sha256(token), publicKey];
  const privateKey = createPrivateKey({ key: { ...key }, format: 'jwk' });
  return sign(undefined, Buffer.concat(parts), privateKey).toString('base64url');
}

/**
 * Fetches a server's CA and compares it with the hash that is known: the one request that trusts no certificate yet.
 *
 * It sends nothing but the request for `/ca.pem`. @throws cloud_link.ca_unreachable, cloud_link.ca_mismatch, `proxyErrors`
 */
export async function fetchCa(
  url: string,
  caSha256: string,
  { proxyEnv }: Pick<HttpsSettings, 'proxyEnv'> = {},
): Promise<string> {
  const pem = await download(`${url}/ca.pem`, proxyEnv).catch((error: unknown) => {
    throw error instanceof CodedError ? error : cloudErrors.ca_unreachable({ url }, error);
  });
  const found = fingerprintOf(pem);
  if (found !== caSha256) throw cloudErrors.ca_mismatch({ url, expected: caSha256, found: found ?? 'no certificate' });
  return pem;
}

function fingerprintOf(pem: string): string | undefined {
  try {
    return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  } catch {
    return undefined;
  }
}

function download(url: string, proxyEnv: HttpsSettings['proxyEnv']): Promise<string> {
  const { fetch, close } = createHttpsFetch({
    ca: undefined,
    ...(proxyEnv && { proxyEnv }),
    acceptAnyCertificate: true,
  });
  const text = async () => {
    const reply = await fetch(url, { method: 'GET', headers: {}, signal: AbortSignal.timeout(CA_TIMEOUT_MS) });
    if (!reply.ok) throw new Error(`it answered ${reply.status}`);
    // Nobody has proved yet to be the server.
    const pem = await textOf(reply, MAX_CA_BYTES);
    if (pem === undefined) throw new Error('it is too long for a certificate');
    return pem;
  };
  return text().finally(close);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
