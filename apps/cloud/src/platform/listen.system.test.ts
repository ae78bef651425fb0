import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { manualClock, systemClock, systemRandom, type Clock } from '@holdfast/base';
import { Problem } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { afterwards } from '@holdfast/testing';
import { prepareHttp } from './http.ts';
import { createPublicApp } from './listen-app.ts';
import { openPublicListener } from './listen.ts';
import { silentLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { localCertificates } from './tls.ts';

type Setup = {
  publicUrl?: string;
  trustedProxies?: string[];
  clock?: Clock;
  addRoutes?: (app: FastifyInstance) => void;
};

async function open(t: TestContext, setup: Setup = {}) {
  const tlsDir = mkdtempSync(path.join(tmpdir(), 'holdfast listen '));
  afterwards(t, () => rmSync(tlsDir, { recursive: true }));
  const clock = setup.clock ?? systemClock;
  const certificates = await localCertificates({ tlsDir, hosts: ['localhost', '127.0.0.1'], clock });
  const listener = await openPublicListener({
    address: { host: '127.0.0.1', port: 0 },
    certificates,
    log: silentLog,
    clock,
  });
  afterwards(t, () => listener.close(0));
  const metrics = createMetrics();
  const app = createPublicApp({
    listener,
    publicUrl: setup.publicUrl,
    trustedProxies: setup.trustedProxies ?? [],
    log: silentLog,
    metrics,
    clock: systemClock,
    random: systemRandom,
  });
  prepareHttp(app, { log: silentLog, clock: systemClock });
  app.get('/hello', { config: { open: 'test' } }, (request, reply) => reply.send({ ip: request.ip }));
  setup.addRoutes?.(app);
  const ca = readFileSync(certificates.caFile!, 'utf8');
  const ask = (route: string, headers: Record<string, string> = {}) =>
    get({ port: listener.port, ca, path: route, headers });
  return { listener, app, metrics, ca, ask };
}

async function get(options: https.RequestOptions) {
  const request = https.get({ host: '127.0.0.1', servername: 'localhost', agent: false, ...options });
  const [reply] = (await once(request, 'response')) as [IncomingMessage];
  const body = Buffer.concat(await Array.fromAsync(reply as AsyncIterable<Buffer>)).toString();
  return { status: reply.statusCode, headers: reply.headers, body };
}

const codeOf = (body: string) => Problem.parse(JSON.parse(body)).code;

test('until the app is handed over every request is answered 503, afterwards by the app', async (t) => {
  const { listener, app, ask } = await open(t);
  const early = await ask('/hello');
  assert.deepEqual([early.status, codeOf(early.body)], [503, 'request.overloaded']);
  await listener.serve(app);
  assert.equal((await ask('/hello')).status, 200);
});

test('a host that is not ours gets 421, each of our names an answer', async (t) => {
  const { listener, app, ask } = await open(t);
  await listener.serve(app);
  const { port } = listener;
  for (const host of [
    'example.com',
    `example.com:${port}`,
    'localhost',
    `localhost:${port + 1}`,
    `127.0.0.2:${port}`,
    ' ',
  ]) {
    const reply = await ask('/hello', { host });
    assert.equal(reply.status, 421, host);
    assert.equal(codeOf(reply.body), 'request.misdirected');
  }
  for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    assert.equal((await ask('/hello', { host })).status, 200, host);
  }
});

test('forwarded headers count from a trusted proxy alone', async (t) => {
  const publicUrl = 'https://backup.example.com';
  const forwarded = { 'x-forwarded-host': 'backup.example.com', 'x-forwarded-for': '203.0.113.9' };
  const trusting = await open(t, { publicUrl, trustedProxies: ['127.0.0.0/8'] });
  await trusting.listener.serve(trusting.app);
  const through = await trusting.ask('/hello', forwarded);
  assert.deepEqual([through.status, through.body], [200, '{"ip":"203.0.113.9"}']);
  for (const trustedProxies of [[], ['10.0.0.0/8']]) {
    const wary = await open(t, { publicUrl, trustedProxies });
    await wary.listener.serve(wary.app);
    assert.equal((await wary.ask('/hello', forwarded)).status, 421);
    const direct = await wary.ask('/hello', { ...forwarded, host: 'backup.example.com' });
    assert.deepEqual([direct.status, direct.body], [200, '{"ip":"127.0.0.1"}']);
  }
});

test('every answer carries the security headers; HSTS only where no other program shares the name', async (t) => {
  const local = await open(t);
  await local.listener.serve(local.app);
  for (const reply of [await local.ask('/hello'), await local.ask('/nothing')]) {
    assert.equal(reply.headers['x-content-type-options'], 'nosniff');
    assert.match(String(reply.headers['content-security-policy']), /^default-src 'none'/);
    assert.match(String(reply.headers['x-request-id']), /^[0-9a-f-]{36}$/);
    assert.equal(reply.headers['strict-transport-security'], undefined);
  }
  const named = await open(t, { publicUrl: 'https://backup.example.com' });
  await named.listener.serve(named.app);
  const reply = await named.ask('/hello', { host: 'backup.example.com' });
  assert.equal(reply.headers['strict-transport-security'], 'max-age=31536000');
});

test('what is not HTTP, and too much of it, gets problem JSON', async (t) => {
  const { listener, app, ca, ask } = await open(t);
  await listener.serve(app);
  const talk = async (text: string) => {
    const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port: listener.port, ca });
    socket.write(text);
    const reply = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();
    const [head = '', body = ''] = reply.split('\r\n\r\n');
    return [head.split('\r\n')[0], codeOf(body)];
  };
  assert.deepEqual(await talk('hello?\r\n\r\n'), ['HTTP/1.1 400 Bad Request', 'request.invalid']);
  const long = `GET / HTTP/1.1\r\nhost: localhost:${listener.port}\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`;
  assert.deepEqual(await talk(long), ['HTTP/1.1 431 Request Header Fields Too Large', 'request.too_large']);
  const badUrl = await ask('/%zz');
  assert.deepEqual([badUrl.status, codeOf(badUrl.body)], [400, 'request.invalid']);
});

test('closing lets a request finish before the deadline and cuts it off after it', async (t) => {
  for (const [deadlineMs, finishes] of [
    [5_000, true],
    [30, false],
  ] as const) {
    const reached = Promise.withResolvers<void>();
    const release = Promise.withResolvers<string>();
    const addRoutes = (app: FastifyInstance) =>
      app.get('/slow', { config: { open: 'test' } }, (_request, reply) => {
        reached.resolve();
        void release.promise.then((text) => reply.send(text));
      });
    const { listener, app, ask } = await open(t, { addRoutes });
    await listener.serve(app);
    const answer = ask('/slow').then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code,
    );
    await reached.promise;
    const closed = listener.close(deadlineMs);
    await assert.rejects(ask('/hello'), { code: 'ECONNREFUSED' });
    if (finishes) release.resolve('done');
    await closed;
    release.resolve('too late');
    assert.equal(await answer, finishes ? 200 : 'ECONNRESET');
  }
});

test(
  'a connection that never says a word of TLS is cut off at the deadline as well',
  { timeout: 20_000 },
  async (t) => {
    const { listener, app } = await open(t);
    await listener.serve(app);
    const silent = connect(listener.port, '127.0.0.1');
    const ended = once(silent, 'close');
    silent.on('error', () => undefined);
    await once(silent, 'connect');
    const begun = performance.now();
    await listener.close(30);
    assert.ok(performance.now() - begun < 5_000);
    await ended;
  },
);

test('a taken port and a foreign address are told apart', async (t) => {
  const { listener } = await open(t);
  const certificates = { caFile: undefined, current: async () => ({ cert: '', key: '' }) };
  const tryOpen = (host: string, port: number) =>
    openPublicListener({ address: { host, port }, certificates, log: silentLog, clock: systemClock });
  await assert.rejects(tryOpen('127.0.0.1', listener.port), { code: 'listen.port_taken', kind: 'conflict' });
  await assert.rejects(tryOpen('192.0.2.1', 0), { code: 'listen.no_such_address', kind: 'invalid' });
});

test('a renewed certificate is presented without a restart', async (t) => {
  // The client checks by the real time, so ours begins before it and ends there.
  const clock = manualClock(Date.now() - 151 * 86_400_000);
  const { listener, app, ca } = await open(t, { clock });
  await listener.serve(app);
  const presented = async () => {
    const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port: listener.port, ca });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerX509Certificate()!;
    socket.destroy();
    return fingerprint256;
  };
  const original = await presented();
  clock.advance(3_600_000);
  assert.equal(await presented(), original);
  clock.advance(150 * 86_400_000);
  let shown = original;
  for (let tries = 0; shown === original && tries < 200; tries++) {
    clock.advance(3_600_000);
    shown = await presented();
  }
  assert.notEqual(shown, original);
});

test('requests are counted by the pattern of their route', async (t) => {
  const addRoutes = (app: FastifyInstance) =>
    app.get('/things/:thingId', { config: { open: 'test' } }, (_request, reply) => reply.send('ok'));
  const { listener, app, ask, metrics } = await open(t, { addRoutes });
  await listener.serve(app);
  await ask('/things/secret-1');
  await ask('/things/secret-2');
  const text = await metrics.registry.metrics();
  assert.match(text, /holdfast_http_requests_total\{method="GET",route="\/things\/:thingId",status="200"\} 2/);
  assert.equal(text.includes('secret'), false);
});
