import 'reflect-metadata/lite'; // The certificate library refuses to load without it.
import { createPrivateKey, createPublicKey, KeyObject, X509Certificate, type webcrypto } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import path from 'node:path';
import { defineErrors, systemRandom, type Clock, type Random } from '@holdfast/base';
import * as x509 from '@peculiar/x509';

/** What can go wrong with certificates. */
export const tlsErrors = defineErrors('tls', {
  unreadable: ['invalid', 'The certificate or its key cannot be read'],
  mismatch: ['invalid', 'The key does not belong to the certificate'],
  ca_key_lost: ['invalid', 'The key of the local CA is not there; whoever trusts this CA would not trust another'],
  ca_not_valid: ['unavailable', 'The local CA is not valid at the time this machine shows; is its clock right?'],
});

/** A certificate chain and its key, both PEM. */
export type Certificate = { readonly cert: string; readonly key: string };

/** Where the server's certificate comes from, and the CA that clients must be told of when it is our own. */
export type CertificateSource = {
  /** File with the CA's certificate; undefined when the certificate comes from files. */
  readonly caFile: string | undefined;
  /** The certificate to present now: renewed, or read again, as needed. */
  current(): Promise<Certificate>;
};

/**
 * TLS settings of every public listener: 1.2 and 1.3, AES-256-GCM first, ChaCha20-Poly1305 second, nothing else.
 * The order is the server's.
 */
export const TLS_SETTINGS = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  honorCipherOrder: true,
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
} as const;

const DAY_MS = 86_400_000;
/** Certificates begin this long before they are made, because the clocks of those who check them are wrong. */
const BACKDATED_MS = 30 * DAY_MS;
const CA_LIFETIME_MS = 20 * 365 * DAY_MS;
const LEAF_LIFETIME_MS = 200 * DAY_MS;
const RENEW_BEFORE_MS = 60 * DAY_MS;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Certificates by file: read when their files change, checked to belong together. */
export function certificateFiles(certFile: string, keyFile: string): CertificateSource {
  let cached: { stamp: string; certificate: Certificate } | undefined;
  const read = async (): Promise<Certificate> => {
    try {
      const stamp = (await Promise.all([stat(certFile), stat(keyFile)])).map((s) => `${s.mtimeMs}:${s.size}`).join();
      if (cached?.stamp === stamp) return cached.certificate;
      const certificate = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
      const matches = new X509Certificate(certificate.cert).checkPrivateKey(createPrivateKey(certificate.key));
      if (!matches) throw tlsErrors.mismatch({ certFile, keyFile });
      cached = { stamp, certificate };
      return certificate;
    } catch (error) {
      if ((error as { code?: string }).code === tlsErrors.mismatch.code) throw error;
      throw tlsErrors.unreadable({ certFile, keyFile }, error);
    }
  };
  return { caFile: undefined, current: read };
}

/**
 * A CA of our own below `tlsDir`, and a server certificate for `hosts` signed by it.
 *
 * Files: `ca.pem` (to be handed out), `ca-key.pem`, `server.pem` (chain and key); keys have mode 0600. The CA is made
 * once; the server certificate again when it ends within 60 days, when `hosts` change, or when the CA did.
 * @throws tls.unreadable, tls.mismatch, tls.ca_key_lost, tls.ca_not_valid
 */
export async function localCertificates(options: {
  tlsDir: string;
  /** DNS names and IP addresses. */
  hosts: readonly string[];
  clock: Clock;
  random?: Random;
}): Promise<CertificateSource> {
  const { tlsDir, clock, random = systemRandom } = options;
  await mkdir(tlsDir, { recursive: true, mode: 0o700 });
  const authority = await openAuthority(tlsDir, { clock, random });
  const file = path.join(tlsDir, 'server.pem');
  const current = async (): Promise<Certificate> => {
    const existing = splitPem(await readFile(file, 'utf8').catch(() => ''));
    if (existing && isGood(existing.cert, { hosts: options.hosts, authority: authority.certificate, clock }))
      return existing;
    const made = await issueLeaf(authority, { hosts: options.hosts, clock, random });
    await writeWhole(file, made.cert + made.key, { mode: 0o600, isNew: false });
    return made;
  };
  return { caFile: path.join(tlsDir, 'ca.pem'), current };
}

type Authority = { readonly certificate: x509.X509Certificate; readonly key: CryptoKey };
type Edges = { readonly clock: Clock; readonly random: Random };

async function openAuthority(tlsDir: string, edges: Edges): Promise<Authority> {
  const [certFile, keyFile] = [path.join(tlsDir, 'ca.pem'), path.join(tlsDir, 'ca-key.pem')];
  const keyPem = await readIfThere(keyFile, { certFile, keyFile });
  const certPem = await readIfThere(certFile, { certFile, keyFile });
  if (keyPem === undefined && certPem !== undefined) throw tlsErrors.ca_key_lost({ certFile, keyFile });
  const keyOf = (pem: string) => importKey(x509.PemConverter.decodeFirst(pem));
  if (certPem === undefined)
    return makeAuthority({ certFile, keyFile }, edges, keyPem === undefined ? undefined : await keyOf(keyPem));
  const certificate = new x509.X509Certificate(certPem);
  if (!new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem!)))
    throw tlsErrors.mismatch({ certFile, keyFile });
  const now = edges.clock.now();
  if (now < certificate.notBefore.getTime() || now > certificate.notAfter.getTime()) {
    throw tlsErrors.ca_not_valid({ certFile, notBefore: certificate.notBefore, notAfter: certificate.notAfter });
  }
  return { certificate, key: (await keyOf(keyPem!)).privateKey };
}

/** Undefined only where there is no such file: a file that cannot be read now is not one to be made anew. */
async function readIfThere(file: string, facts: { certFile: string; keyFile: string }): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw tlsErrors.unreadable(facts, error);
  }
}

/** A private key and the public key that follows from it. */
async function importKey(pkcs8: ArrayBuffer): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']);
  const spki = createPublicKey(KeyObject.from(privateKey)).export({ format: 'der', type: 'spki' });
  return { privateKey, publicKey: await crypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify']) };
}

/**
 * Makes a CA, of the key that is there where an earlier start got no further than that.
 *
 * The key is written first and the certificate last: of half a CA nobody was told yet. No key is ever overwritten.
 */
async function makeAuthority(
  files: { certFile: string; keyFile: string },
  edges: Edges,
  existing: webcrypto.CryptoKeyPair | undefined,
): Promise<Authority> {
  const keys: webcrypto.CryptoKeyPair =
    existing ?? (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']));
  const serialNumber = serial(edges.random);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=Holdfast local CA ${serialNumber.slice(2, 10)}`,
    serialNumber,
    ...validity(edges.clock, CA_LIFETIME_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  if (!existing) await writeWhole(files.keyFile, await exportKey(keys.privateKey), { mode: 0o600, isNew: true });
  await writeWhole(files.certFile, `${certificate.toString('pem')}\n`, { mode: 0o644, isNew: true });
  return { certificate, key: keys.privateKey };
}

async function issueLeaf(authority: Authority, options: Edges & { hosts: readonly string[] }): Promise<Certificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const names = options.hosts.map((host) => ({ type: isIP(host) ? ('ip' as const) : ('dns' as const), value: host }));
  const { notBefore, notAfter } = validity(options.clock, LEAF_LIFETIME_MS);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${options.hosts[0]!.slice(0, 64)}`,
    issuer: authority.certificate.subject,
    serialNumber: serial(options.random),
    // Never longer than its CA, nor from before it.
    notBefore: new Date(Math.max(notBefore.getTime(), authority.certificate.notBefore.getTime())),
    notAfter: new Date(Math.min(notAfter.getTime(), authority.certificate.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  const chain = `${certificate.toString('pem')}\n${authority.certificate.toString('pem')}\n`;
  return { cert: chain, key: await exportKey(keys.privateKey) };
}

function isGood(
  pem: string,
  wanted: { hosts: readonly string[]; authority: x509.X509Certificate; clock: Clock },
): boolean {
  const certificate = parseCertificate(pem);
  if (!certificate) return false;
  const now = wanted.clock.now();
  const named = new Set((certificate.subjectAltName ?? '').split(', '));
  const covers = wanted.hosts.every((host) =>
    isIP(host) ? certificate.checkIP(host) !== undefined : named.has(`DNS:${host}`),
  );
  return (
    covers &&
    named.size === new Set(wanted.hosts).size &&
    now >= certificate.validFromDate.getTime() &&
    now < certificate.validToDate.getTime() - RENEW_BEFORE_MS &&
    certificate.verify(new X509Certificate(wanted.authority.toString('pem')).publicKey)
  );
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function validity(clock: Clock, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  const beginMs = clock.now() - BACKDATED_MS;
  return { notBefore: new Date(beginMs), notAfter: new Date(beginMs + lifetimeMs) };
}

/** 127 random bits, positive whatever they are (RFC 5280 4.1.2.2). */
function serial(random: Random): string {
  const bytes = random(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toHex();
}

async function exportKey(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

/** Certificates and key of a file that holds both; undefined when either is missing. */
function splitPem(text: string): Certificate | undefined {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----\n?/g) ?? [];
  const key = blocks.find((block) => block.includes('PRIVATE KEY'));
  const cert = blocks.filter((block) => block.includes('BEGIN CERTIFICATE')).join('');
  return key && cert ? { cert, key } : undefined;
}

/** Readers see the old content or the new, after a power cut too; a file that is to be new replaces none. */
async function writeWhole(file: string, content: string, how: { mode: number; isNew: boolean }): Promise<void> {
  const partial = `${file}.${process.pid}.new`;
  // One that an ended process left may have another mode.
  await rm(partial, { force: true });
  const handle = await open(partial, 'wx', how.mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (!how.isNew) return rename(partial, file);
  try {
    await link(partial, file);
  } finally {
    await rm(partial);
  }
}
