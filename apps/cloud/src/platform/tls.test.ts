import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isIP, type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { manualClock } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { certificateFiles, localCertificates, TLS_SETTINGS } from './tls.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-03-01T00:00:00Z');

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'holdfast tls '));
  afterwards(t, () => rmSync(made, { recursive: true, force: true }));
  return made;
}

const first = (pem: string) => new X509Certificate(pem);

test('the local CA signs a certificate for exactly the hosts asked for, valid from 30 days ago', async (t) => {
  const tlsDir = folder(t);
  const hosts = ['localhost', '127.0.0.1', '::1', 'backup.example.com'];
  const source = await localCertificates({ tlsDir, hosts, clock: manualClock(NOW) });
  const ca = first(readFileSync(source.caFile!, 'utf8'));
  const leaf = first((await source.current()).cert);
  assert.equal(leaf.checkIssued(ca), true);
  assert.equal(leaf.verify(ca.publicKey), true);
  assert.equal(ca.ca, true);
  assert.equal(leaf.ca, false);
  const names = (host: string) => (isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host)) !== undefined;
  for (const host of hosts) assert.equal(names(host), true, host);
  for (const host of ['example.com', '127.0.0.2', '::2']) assert.equal(names(host), false, host);
  assert.equal(ca.validFromDate.getTime(), NOW - 30 * DAY_MS);
  assert.equal(leaf.validFromDate.getTime(), NOW - 30 * DAY_MS);
  for (const name of ['ca-key.pem', 'server.pem']) {
    assert.equal(statSync(path.join(tlsDir, name)).mode & 0o777, 0o600, name);
  }
});

test('a certificate is kept until 60 days before its end, the CA for good', async (t) => {
  const [tlsDir, clock, hosts] = [folder(t), manualClock(NOW), ['localhost']];
  const source = await localCertificates({ tlsDir, hosts, clock });
  const [original, ca] = [await source.current(), readFileSync(source.caFile!, 'utf8')];
  clock.advance(100 * DAY_MS);
  assert.deepEqual(await source.current(), original);
  const again = await localCertificates({ tlsDir, hosts, clock });
  assert.deepEqual(await again.current(), original);
  clock.advance(15 * DAY_MS);
  const renewed = await source.current();
  assert.notEqual(renewed.cert, original.cert);
  assert.equal(first(renewed.cert).verify(first(ca).publicKey), true);
  assert.equal(readFileSync(source.caFile!, 'utf8'), ca);
});

test('other hosts, a clock set back and a damaged file each lead to a new certificate of the same CA', async (t) => {
  const tlsDir = folder(t);
  const source = await localCertificates({ tlsDir, hosts: ['localhost'], clock: manualClock(NOW) });
  const [original, ca] = [await source.current(), first(readFileSync(source.caFile!, 'utf8'))];
  const later = await localCertificates({ tlsDir, hosts: ['localhost', 'other'], clock: manualClock(NOW) });
  const wider = await later.current();
  assert.equal(first(wider.cert).checkHost('other'), 'other');
  const narrow = await source.current();
  assert.equal(first(narrow.cert).checkHost('other'), undefined);
  const garbled = original.cert.replace(/^M.{20}/m, 'MAAA') + original.key;
  for (const damaged of [original.cert.slice(0, 200), original.cert, original.key, garbled, '']) {
    writeFileSync(path.join(tlsDir, 'server.pem'), damaged);
    assert.equal(first((await source.current()).cert).verify(ca.publicKey), true);
  }
  const earlier = await localCertificates({ tlsDir, hosts: ['localhost'], clock: manualClock(NOW - 29 * DAY_MS) });
  assert.ok(first((await earlier.current()).cert).validFromDate.getTime() <= NOW - 29 * DAY_MS);
  await assert.rejects(localCertificates({ tlsDir, hosts: ['localhost'], clock: manualClock(NOW - 31 * DAY_MS) }), {
    code: 'tls.ca_not_valid',
  });
});

test('a CA whose files cannot be read, or whose key is lost, is never replaced, and half a new one is made whole', async (t) => {
  const tlsDir = folder(t);
  const make = () => localCertificates({ tlsDir, hosts: ['localhost'], clock: manualClock(NOW) });
  const [certFile, keyFile] = [path.join(tlsDir, 'ca.pem'), path.join(tlsDir, 'ca-key.pem')];
  await make();
  const whole = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
  for (const [file, unread] of [
    [keyFile, 'tls.unreadable'],
    [certFile, 'tls.unreadable'],
  ] as const) {
    renameSync(file, `${file}.kept`);
    symlinkSync(path.basename(file), file);
    await assert.rejects(make(), { code: unread }, file);
    rmSync(file);
    renameSync(`${file}.kept`, file);
    await make();
    assert.deepEqual([readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')], whole);
  }
  renameSync(keyFile, `${keyFile}.kept`);
  await assert.rejects(make(), { code: 'tls.ca_key_lost' });
  assert.equal(existsSync(keyFile), false);
  renameSync(`${keyFile}.kept`, keyFile);
  await make();
  // Only the key was written when the power went: nobody was told of its certificate.
  rmSync(certFile);
  const leaf = await (await make()).current();
  assert.notEqual(readFileSync(certFile, 'utf8'), whole[0]);
  assert.equal(readFileSync(keyFile, 'utf8'), whole[1]);
  assert.deepEqual(await (await make()).current(), leaf);
  assert.equal(first(leaf.cert).verify(first(readFileSync(certFile, 'utf8')).publicKey), true);
});

test('certificates by file are read again when they change, and must belong together', async (t) => {
  const [one, two] = await Promise.all(
    [folder(t), folder(t)].map(async (tlsDir) =>
      (await localCertificates({ tlsDir, hosts: ['localhost'], clock: manualClock(NOW) })).current(),
    ),
  );
  const [certFile, keyFile] = [path.join(folder(t), 'cert.pem'), path.join(folder(t), 'key.pem')];
  writeFileSync(certFile, one!.cert);
  writeFileSync(keyFile, one!.key);
  const source = certificateFiles(certFile, keyFile);
  assert.deepEqual(await source.current(), one);
  writeFileSync(certFile, two!.cert);
  utimesSync(certFile, 1, 1);
  await assert.rejects(source.current(), { code: 'tls.mismatch' });
  writeFileSync(keyFile, two!.key);
  utimesSync(keyFile, 1, 1);
  assert.deepEqual(await source.current(), two);
  rmSync(keyFile);
  await assert.rejects(source.current(), { code: 'tls.unreadable' });
});

test('TLS 1.2 and 1.3 are spoken, AES-256-GCM first and ChaCha20-Poly1305 second, nothing weaker', async (t) => {
  const source = await localCertificates({ tlsDir: folder(t), hosts: ['localhost'], clock: manualClock(Date.now()) });
  const server = tls.createServer({ ...TLS_SETTINGS, ...(await source.current()) }, (socket) => socket.end());
  server.on('tlsClientError', () => undefined);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  afterwards(t, () => server.close());
  const ca = readFileSync(source.caFile!);
  const negotiate = async (options: tls.ConnectionOptions) => {
    const { port } = server.address() as AddressInfo;
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
    await once(socket, 'secureConnect');
    const { standardName } = socket.getCipher();
    socket.destroy();
    return `${socket.getProtocol() ?? 'closed'} ${standardName}`;
  };
  const weakFirst13 = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384';
  const accepted = [
    [{ ciphers: weakFirst13 }, 'TLS_AES_256_GCM_SHA384'],
    [{ ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }, 'TLS_CHACHA20_POLY1305_SHA256'],
    [{ maxVersion: 'TLSv1.2' }, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'],
    [
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' },
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
    ],
  ] as const;
  for (const [options, cipher] of accepted) assert.match(await negotiate(options), new RegExp(`${cipher}$`));
  const refused = [
    { ciphers: 'TLS_AES_128_GCM_SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA' },
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
  ] as const;
  for (const options of refused) await assert.rejects(negotiate(options), JSON.stringify(options));
});
