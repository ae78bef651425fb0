import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CloudClient, enroll, EnrollmentStore, fetchCa } from '@holdfast/agent/cloud';
import { CodedError, systemRandom } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { until } from './process-tree.ts';
import { aboutDevice, newFolder, startRunningCloud, type AdministeredTenant } from './running-cloud.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');

/** A proxy that opens tunnels (RFC 9110, 9.3.6) and nothing else. */
type ConnectProxy = {
  readonly port: number;
  /** Where tunnels were opened to, and the credentials that were shown. */
  readonly tunnels: { readonly target: string; readonly authorization: string | undefined }[];
  /** Bytes that went to the server. */
  readonly sentBytes: () => number;
};

async function startProxy(
  t: TestContext,
  options: { status?: number; credentials?: string } = {},
): Promise<ConnectProxy> {
  const tunnels: ConnectProxy['tunnels'] = [];
  const sockets = new Set<Socket>();
  let sentBytes = 0;
  const server: Server = createServer((_, reply) => void reply.writeHead(405).end());
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (request, client: Socket) => {
    client.on('error', () => client.destroy());
    const authorization = request.headers['proxy-authorization'];
    const status = isAllowed(authorization, options.credentials) ? options.status : 407;
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const target = request.url ?? '';
    tunnels.push({ target, authorization });
    client.on('data', (chunk: Buffer) => (sentBytes += chunk.length));
    openTunnel(client, new URL(`http://${target}`));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  afterwards(t, async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, tunnels, sentBytes: () => sentBytes };
}

function isAllowed(authorization: string | undefined, credentials: string | undefined): boolean {
  return credentials === undefined || authorization === `Basic ${Buffer.from(credentials).toString('base64')}`;
}

function openTunnel(client: Socket, { hostname, port }: URL): void {
  const upstream = connect(Number(port), hostname, () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    client.pipe(upstream).pipe(client);
  });
  client.on('close', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
}

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function enrollBy(t: TestContext, tenant: AdministeredTenant, proxyEnv: Record<string, string>) {
  const store = new EnrollmentStore(newFolder(t));
  const tokenText = JSON.stringify(await tenant.invite());
  const enrollment = await enroll({ ...aboutDevice, tokenText, proxyEnv }, store);
  const client = new CloudClient(enrollment, { proxyEnv });
  afterwards(t, () => client.close());
  return client;
}

async function errorOf(work: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CodedError, String(error));
  return error;
}

test('through a proxy an agent enrols, backs up and restores, and reaches the server in no other way', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const proxy = await startProxy(t, { credentials: 'an agent:p@ss:word' });
  const folder = newFolder(t);
  const tree = path.join(folder, 'tree');
  mkdirSync(tree);
  const content = systemRandom(60_000);
  writeFileSync(path.join(tree, 'file'), content);
  writeFileSync(path.join(folder, 'token'), JSON.stringify(await tenant.invite()), { mode: 0o600 });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOLDFAST_HOME: path.join(folder, 'home'),
    // Without a scheme, as many have it.
    HTTPS_PROXY: `an%20agent:p%40ss%3Aword@127.0.0.1:${proxy.port}`,
  };
  const holdfast = (...args: readonly string[]): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [launcher, ...args, '--json'],
        { env, cwd: folder, timeout: 60_000 },
        (error, stdout) => {
          if (error) reject(error);
          else resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>);
        },
      );
    });
  const enrolled = await holdfast('agent', 'enroll', running.cloud.url, '--token-file', 'token');
  assert.equal(enrolled['url'], running.cloud.url);
  const agent = spawn(process.execPath, [launcher, 'agent', 'run', '--protect', tree], {
    env,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  afterwards(t, async () => {
    if (agent.exitCode !== null) return;
    agent.kill('SIGKILL');
    await once(agent, 'exit');
  });
  let log = '';
  agent.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await until(() => log.includes('the agent is running') || agent.exitCode !== null, 'the agent');
  await holdfast('backup');
  assert.ok(proxy.sentBytes() > content.length, 'the file went through the proxy');
  await holdfast('restore', path.join(tree, 'file'), '--to', path.join(folder, 'back'));
  const back = path.join(folder, 'back', 'file');
  assert.deepEqual(new Uint8Array(readFileSync(back)), content);
  const { host } = new URL(running.cloud.url);
  assert.deepEqual(new Set(proxy.tunnels.map(({ target }) => target)), new Set([host]));
  assert.ok(!log.includes('p@ss') && !log.includes('p%40ss'));
});

test('NO_PROXY leaves the proxy aside, and only for the servers it names', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const proxy = await startProxy(t);
  const HTTPS_PROXY = `http://127.0.0.1:${proxy.port}`;
  const { host } = new URL(running.cloud.url);
  for (const NO_PROXY of ['localhost', host, 'elsewhere.example,localhost', '*']) {
    const client = await enrollBy(t, tenant, { HTTPS_PROXY, NO_PROXY });
    assert.deepEqual((await client.call(storageRoutes.list, {})).archives, []);
    assert.equal(proxy.tunnels.length, 0, NO_PROXY);
  }
  for (const NO_PROXY of ['elsewhere.example', 'localhost:1']) {
    const before = proxy.tunnels.length;
    const client = await enrollBy(t, tenant, { HTTPS_PROXY, NO_PROXY });
    assert.deepEqual((await client.call(storageRoutes.list, {})).archives, []);
    assert.ok(proxy.tunnels.length > before, NO_PROXY);
  }
});

test('a proxy that refuses, wants credentials, is away or is none is named as the cause, with what to do', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const [refusing, guarded] = [await startProxy(t, { status: 403 }), await startProxy(t, { credentials: 'me:secret' })];
  const cases = [
    [`http://127.0.0.1:${refusing.port}`, 'proxy.refused', 'unavailable', /NO_PROXY/],
    [`http://127.0.0.1:${guarded.port}`, 'proxy.wants_credentials', 'unavailable', /NAME:PASSWORD@/],
    [`http://me:guess@127.0.0.1:${guarded.port}`, 'proxy.wants_credentials', 'unavailable', /NAME:PASSWORD@/],
    [`http://127.0.0.1:${await closedPort()}`, 'proxy.unreachable', 'unavailable', /HTTPS_PROXY/],
    ['http://no-such-proxy.invalid:3128', 'proxy.unreachable', 'unavailable', /HTTPS_PROXY/],
    ['socks5://127.0.0.1:1080', 'proxy.address_invalid', 'invalid', /http:\/\/HOST:PORT/],
    ['http://', 'proxy.address_invalid', 'invalid', /http:\/\/HOST:PORT/],
    ['not an address', 'proxy.address_invalid', 'invalid', /http:\/\/HOST:PORT/],
  ] as const;
  const client = await enrollBy(t, tenant, { HTTPS_PROXY: `http://me:secret@127.0.0.1:${guarded.port}` });
  const { enrollment } = client;
  for (const [HTTPS_PROXY, code, kind, remedy] of cases) {
    const proxyEnv = { HTTPS_PROXY };
    const barred = new CloudClient(enrollment, { proxyEnv });
    afterwards(t, () => barred.close());
    const caSha256 = running.cloud.api.server.caSha256 ?? '';
    const failures = [
      errorOf(barred.call(storageRoutes.list, {})),
      errorOf(fetchCa(enrollment.url, caSha256, { proxyEnv })),
      errorOf(enrollBy(t, tenant, proxyEnv)),
    ];
    for (const error of await Promise.all(failures)) {
      assert.deepEqual([error.code, error.kind], [code, kind], HTTPS_PROXY);
      assert.match(String(error.details['remedy']), remedy);
      assert.doesNotMatch(JSON.stringify(error.details) + error.message, /secret|guess/);
    }
  }
  assert.deepEqual((await client.call(storageRoutes.list, {})).archives, []);
  const away = new CloudClient({ ...enrollment, url: `https://localhost:${await closedPort()}` });
  afterwards(t, () => away.close());
  assert.equal((await errorOf(away.call(storageRoutes.list, {}))).code, 'sdk.unreachable', 'the server itself');
});
