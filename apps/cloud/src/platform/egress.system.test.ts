import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@holdfast/base';
import fc from 'fast-check';
import { afterwards } from '@holdfast/testing';
import { createEgress, isGloballyRoutable, parseNetwork } from './egress.ts';
import { localCertificates } from './tls.ts';

const LIMITS = { method: 'GET', timeoutMs: 2_000, maxReplyBytes: 1_000 } as const;

/** A server on loopback that counts who reached it. */
async function serve(t: TestContext, listener: RequestListener) {
  const server = http.createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  afterwards(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('addresses only this server could reach are refused, public ones are not', () => {
  const refused = [
    '127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254',
    '100.64.0.1 100.100.100.200 192.0.0.192 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255',
    '192.0.2.1 168.63.129.16 :: ::1 fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1',
    '::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001::1 ::127.0.0.1',
    '::7f00:1 ::a00:1 1fff::1 4000::1 8000::1 e000::1 5f00::1 64:ff9b:1::1',
  ].flatMap((line) => line.split(' '));
  const accepted = [
    '1.1.1.1 8.8.8.8 93.184.216.34 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 168.63.129.15',
    '169.253.0.1 192.167.0.1 192.169.0.1 11.0.0.1 9.255.255.255 126.0.0.1 128.0.0.1 223.0.0.1',
    '2606:4700:4700::1111 2a00:1450:4001::1 2001:4860:4860::8888 ::ffff:8.8.8.8 2400:cb00::1 ::ffff:1.1.1.1',
    '168.63.129.17 198.17.0.1 198.20.0.1 2620:fe::fe 2003::1 192.0.3.1 203.0.114.1 2a03:2880::1',
    '2000::1 2c0f:fb50::1 3000::1 2001:200::1 2610:a1::1 2607:f8b0::1 2804::1 2401::1',
  ].flatMap((line) => line.split(' '));
  assert.ok(accepted.length >= refused.length);
  for (const address of refused) assert.equal(isGloballyRoutable(address), false, address);
  for (const address of accepted) assert.equal(isGloballyRoutable(address), true, address);
});

test('no way of writing an IPv4 loopback or private address gets around the check', async () => {
  const egress = createEgress({ allowedNetworks: [], resolve: () => assert.fail('a literal is not resolved') });
  const forms = (a: number, b: number, c: number, d: number) => [
    `${a}.${b}.${c}.${d}`,
    String(((a * 256 + b) * 256 + c) * 256 + d),
    `0x${[a, b, c, d].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`,
    [a, b, c, d].map((byte) => `0${byte.toString(8)}`).join('.'),
    `${a}.${b}.${c * 256 + d}`,
    `[::ffff:${a}.${b}.${c}.${d}]`,
  ];
  const byte = fc.integer({ min: 0, max: 255 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(10, 127), byte, byte, byte, async (a, b, c, d) => {
      for (const host of forms(a, b, c, d)) {
        await assert.rejects(
          egress.request({ url: `https://${host}/`, ...LIMITS }),
          { code: 'egress.refused_address' },
          host,
        );
      }
    }),
    { numRuns: 100 },
  );
});

test('a name is called only when every address it has may be called', async (t) => {
  let reached = 0;
  const port = await serve(t, (_request, reply) => reply.end(String(++reached)));
  const ask = (addresses: readonly string[], allowedNetworks: readonly string[]) =>
    createEgress({ allowedNetworks, resolve: async () => addresses }).request({
      url: `http://hook.test:${port}/`,
      ...LIMITS,
    });
  const refusals = [
    [['127.0.0.1'], ['10.0.0.0/8']],
    [['127.0.0.1', '10.1.1.1'], ['127.0.0.0/8']],
    [['127.0.0.1', '8.8.8.8'], ['127.0.0.1']],
    [['::1'], ['127.0.0.0/8']],
  ] as const;
  for (const [addresses, networks] of refusals) await assert.rejects(ask(addresses, networks), { name: 'CodedError' });
  assert.equal(reached, 0);
  const allowances = [['127.0.0.0/8'], ['127.0.0.1'], ['::1', '127.0.0.1'], ['0.0.0.0/0']];
  for (const networks of allowances) assert.equal((await ask(['127.0.0.1'], networks)).status, 200);
  assert.equal((await ask(['::ffff:127.0.0.1'], ['127.0.0.1'])).status, 200);
  assert.equal(reached, allowances.length + 1);
});

test('the connection goes to the address that was checked, the name is asked once', async (t) => {
  const port = await serve(t, (request, reply) => reply.end(request.headers.host));
  let asked = 0;
  const egress = createEgress({
    allowedNetworks: ['127.0.0.1'],
    resolve: async () => (asked++ === 0 ? ['127.0.0.1'] : ['127.0.0.2']),
  });
  const reply = await egress.request({ url: `http://rebinding.test:${port}/`, ...LIMITS });
  assert.equal(reply.body.toString(), `rebinding.test:${port}`);
  assert.equal(asked, 1);
});

test('a redirect is handed back, not followed', async (t) => {
  let reached = 0;
  const port = await serve(t, (_request, reply) => {
    reached++;
    reply.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
  });
  const egress = createEgress({ allowedNetworks: ['127.0.0.1'] });
  const reply = await egress.request({ url: `http://127.0.0.1:${port}/`, ...LIMITS });
  assert.deepEqual([reply.status, reply.headers['location'], reached], [302, 'http://127.0.0.1:1/', 1]);
});

test('addresses of other schemes, with passwords, or plain http outside the allowed networks are invalid', async () => {
  const egress = createEgress({ allowedNetworks: [], resolve: async () => ['8.8.8.8'] });
  for (const url of ['ftp://a.test/', 'file:///etc/passwd', 'https://u:p@a.test/', 'http://a.test/', 'a.test', '']) {
    await assert.rejects(egress.request({ url, ...LIMITS }), { code: 'egress.invalid_url' }, url);
  }
});

test('silence, slowness and floods end with a declared error', async (t) => {
  const port = await serve(t, (request, reply) => {
    const answers: Record<string, () => unknown> = {
      '/silent': () => undefined,
      '/slow': () => reply.write('x'),
      '/cut': () => reply.writeHead(200, { 'content-length': '10' }).write('x', () => request.socket.destroy()),
      '/fits': () => reply.end('x'.repeat(1_000)),
      '/flood': () => reply.end('x'.repeat(1_001)),
    };
    answers[request.url ?? '']?.();
  });
  const egress = createEgress({ allowedNetworks: ['127.0.0.1'] });
  const ask = (route: string) => egress.request({ url: `http://127.0.0.1:${port}${route}`, ...LIMITS, timeoutMs: 300 });
  await assert.rejects(ask('/silent'), { code: 'egress.timed_out', kind: 'unavailable' });
  await assert.rejects(ask('/slow'), { code: 'egress.timed_out' });
  await assert.rejects(ask('/cut'), { code: 'egress.unreachable' });
  await assert.rejects(ask('/flood'), { code: 'egress.reply_too_large' });
  assert.equal((await ask('/fits')).body.length, 1_000);
  const nowhere = createEgress({ allowedNetworks: [], resolve: () => new Promise(() => undefined) });
  await assert.rejects(nowhere.request({ url: 'https://a.test/', ...LIMITS, timeoutMs: 50 }), {
    code: 'egress.timed_out',
  });
  const unknown = createEgress({ allowedNetworks: [], resolve: async () => [] });
  await assert.rejects(unknown.request({ url: 'https://a.test/', ...LIMITS }), { code: 'egress.unresolved' });
});

test('over TLS the certificate must be for the name that was asked for', async (t) => {
  const tlsDir = mkdtempSync(path.join(tmpdir(), 'holdfast egress '));
  afterwards(t, () => rmSync(tlsDir, { recursive: true }));
  const source = await localCertificates({ tlsDir, hosts: ['hook.test'], clock: systemClock });
  const server = https.createServer(await source.current(), (request, reply) => request.pipe(reply));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  afterwards(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const egress = createEgress({ allowedNetworks: ['127.0.0.1'], resolve: async () => ['127.0.0.1'] });
  const ca = readFileSync(source.caFile!, 'utf8');
  const post = (host: string, options: { ca?: string }) =>
    egress.request({ url: `https://${host}:${port}/`, ...LIMITS, method: 'POST', body: 'hello', ...options });
  assert.equal((await post('hook.test', { ca })).body.toString(), 'hello');
  await assert.rejects(post('other.test', { ca }), { code: 'egress.unreachable' });
  await assert.rejects(post('hook.test', {}), { code: 'egress.unreachable' });
});

test('networks are read whole or not at all', () => {
  for (const text of ['10.0.0.0/8', '10.1.2.3', '::1', 'fd00::/8', '0.0.0.0/0'])
    assert.equal(parseNetwork(text).length, 2);
  for (const text of ['', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.0.0.x', '::1/129']) {
    assert.throws(() => parseNetwork(text), TypeError, text);
  }
});
