import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError, systemRandom } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { makeLogKey } from '../modules/logs/index.ts';
import { silentLog } from '../platform/log.ts';
import { startForFile } from '../testing/test-server.ts';
import { keystoreClient } from './client.ts';
import type { KeystoreContext } from './operation.ts';
import { KEYSTORE_SOCKET, MAX_REQUESTS, serveKeystore } from './serve.ts';
import { MOST_OF_TENANT, MOST_WAITING } from './turns.ts';

const { cloud } = await startForFile();
const { installationId } = cloud.api;
const context: KeystoreContext = {
  installationId,
  database: cloud.testDatabase.open('hf_keystore'),
  kms: cloud.kms.forRole('keystore'),
  clock: cloud.clock,
  random: systemRandom,
};

function newHome(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast keystore '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function serve(t: TestContext, homeDir = newHome(t), of = context) {
  const server = await serveKeystore(homeDir, of, silentLog);
  let isOpen = true;
  const close = async () => {
    if (isOpen) await server.close();
    isOpen = false;
  };
  afterwards(t, close);
  return { homeDir, socketPath: path.join(homeDir, KEYSTORE_SOCKET), close };
}

async function newTenant() {
  const tenantUid = crypto.randomUUID();
  const { verifier } = await makeLogKey(cloud.kms.forRole('api'), installationId, tenantUid);
  return { tenantUid, logVerifier: verifier };
}

/** Sends bytes as they are; resolves with all that came back. */
async function sendBytes(socketPath: string, bytes: string | Buffer): Promise<string> {
  const socket = connect(socketPath);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

const post = (name: string, body: string, length = Buffer.byteLength(body)) =>
  `POST /v1/${name} HTTP/1.1\r\nhost: keystore\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${body}`;
const codeIn = (reply: string) => /"code":"([^"]+)"/.exec(reply)?.[1] ?? reply.split('\r\n')[0];

test('the keystore answers over a socket for its owner alone, and callers get what its operations give and refuse', async (t) => {
  const { homeDir, socketPath } = await serve(t);
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  const client = keystoreClient(homeDir);
  assert.equal(await client.checkReadiness(), 'ok');
  const tenant = await newTenant();
  const { tenantUid } = tenant;
  const isUnknown = (error: unknown) => error instanceof CodedError && error.code === 'keystore.tenant_unknown';
  await assert.rejects(client.publicKeys({ tenantUid }), isUnknown);
  const keys = await client.makeTenantKeys(tenant);
  assert.deepEqual(await client.publicKeys({ tenantUid }), { logVerifier: tenant.logVerifier, keys: [keys] });
});

test('what is no operation, no JSON, no UTF-8 or too long is refused, and a request between them is not', async (t) => {
  const { socketPath } = await serve(t);
  const good = JSON.stringify(await newTenant());
  const wrong: readonly (string | Buffer)[] = [
    post('release', good),
    post('toString', good),
    post('__proto__', good),
    post('', good),
    post('makeTenantKeys/', good),
    post('makeTenantKeys?x=1', good),
    post('makeTenantKeys', good.slice(0, -1)),
    post('makeTenantKeys', ''),
    post('makeTenantKeys', `${good.slice(0, -1)},"pad":"${'x'.repeat(4_096)}"}`),
    post('makeTenantKeys', 'x'.repeat(9_000), 10_000_000),
    Buffer.concat([Buffer.from(post('makeTenantKeys', '', good.length + 1)), Buffer.from(good), Buffer.of(0xff)]),
    post('makeTenantKeys', good).replace('POST', 'GET'),
    post('makeTenantKeys', good).replace('POST', 'PUT'),
  ];
  for (const bytes of wrong) {
    assert.equal(codeIn(await sendBytes(socketPath, bytes)), 'keystore.unknown_form', bytes.toString().slice(0, 60));
    assert.match(await sendBytes(socketPath, post('makeTenantKeys', good)), /^HTTP\/1.1 200 /);
  }
  assert.match(await sendBytes(socketPath, 'GET / HTTP/1.1\r\nhost: x\r\ny: '.padEnd(9_000, 'z')), /^HTTP\/1.1 431 /);
});

test('more requests at once than it takes are told to come again, and are taken when there is room', async (t) => {
  const { socketPath } = await serve(t);
  // Each of a tenant of its own, which has a bound of its own.
  const bodies = await Promise.all(Array.from({ length: MAX_REQUESTS }, async () => JSON.stringify(await newTenant())));
  const good = bodies[0]!;
  const held: Socket[] = [];
  const replies: Promise<string>[] = [];
  for (const body of bodies) {
    const socket = connect(socketPath);
    held.push(socket);
    // The head alone: the work begins, and waits for the body.
    socket.write(post('makeTenantKeys', '', body.length));
    replies.push(once(socket, 'data').then(([chunk]) => (chunk as Buffer).toString()));
  }
  let refused = '';
  for (let tries = 0; tries < 100 && codeIn(refused) !== 'keystore.busy'; tries++)
    refused = await sendBytes(socketPath, post('makeTenantKeys', good));
  assert.equal(codeIn(refused), 'keystore.busy');
  for (const [place, socket] of held.entries()) socket.write(bodies[place]!);
  for (const reply of await Promise.all(replies)) assert.match(reply, /^HTTP\/1.1 200 /);
  assert.match(await sendBytes(socketPath, post('makeTenantKeys', good)), /^HTTP\/1.1 200 /);
});

test('requests about one tenant take their part of the keystore alone, and those of another are answered meanwhile', async (t) => {
  // Whoever asks about the first is kept waiting by the database.
  const slow = await newTenant();
  const held = Promise.withResolvers<void>();
  let begun = 0;
  const database = {
    withTenant: async (tenantId: string, work: never) => {
      begun += tenantId === slow.tenantUid ? 1 : 0;
      if (tenantId === slow.tenantUid) await held.promise;
      return context.database.withTenant(tenantId, work);
    },
  } as unknown as KeystoreContext['database'];
  const { homeDir } = await serve(t, newHome(t), { ...context, database });
  const client = keystoreClient(homeDir, { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 });
  const most = MOST_OF_TENANT + MOST_WAITING;
  const asked = Array.from({ length: most + 3 }, () =>
    client.makeTenantKeys(slow).then(
      () => 'done',
      (error: CodedError) => error.code,
    ),
  );
  const refused = await Promise.race(asked);
  assert.equal(refused, 'keystore.busy');
  assert.ok((await client.makeTenantKeys(await newTenant())).number === 1, 'another tenant is answered');
  assert.ok(begun <= MOST_OF_TENANT, `${begun} at once`);
  held.resolve();
  const outcomes = await Promise.all(asked);
  assert.deepEqual([...new Set(outcomes)].toSorted(), ['done', 'keystore.busy']);
  assert.ok(outcomes.filter((one) => one === 'done').length >= most);
});

test('callers of a keystore that is away are told so, and one that comes back in time is not missed', async (t) => {
  const homeDir = newHome(t);
  const client = keystoreClient(homeDir);
  const tenant = await newTenant();
  const once = { attempts: 2, firstDelayMs: 10, maxDelayMs: 10 };
  const hasty = keystoreClient(homeDir, once);
  await assert.rejects(hasty.makeTenantKeys(tenant), { code: 'keystore.away', kind: 'unavailable' });
  assert.equal(await client.checkReadiness(), 'The keystore does not answer');
  await assert.rejects(keystoreClient(path.join(homeDir, 'none'), once).makeTenantKeys(tenant), {
    code: 'keystore.away',
  });
  const asked = client.makeTenantKeys(tenant);
  const { close } = await serve(t, homeDir);
  const keys = await asked;
  await close();
  await assert.rejects(hasty.makeTenantKeys(tenant), { code: 'keystore.away' });
  await serve(t, homeDir);
  assert.deepEqual(await client.makeTenantKeys(tenant), keys);
});

test(
  'another user who reaches the socket is not heard, the owner is',
  { skip: process.getuid?.() !== 0 && 'needs root: only root becomes another user' },
  async (t) => {
    const { homeDir, socketPath } = await serve(t);
    chmodSync(homeDir, 0o755);
    chmodSync(socketPath, 0o777);
    const script = `
      if (process.argv[2] !== '0') { process.setgid(65534); process.setuid(65534); }
      const socket = require('node:net').connect(process.argv[1]);
      socket.on('connect', () => socket.write('GET /readyz HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'));
      socket.on('data', (chunk) => process.stdout.write(chunk));
      socket.on('error', (error) => process.stdout.write(error.code));`;
    const askAs = async (uid: string) => {
      const child = spawn(process.execPath, ['-e', script, socketPath, uid], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      await once(child, 'close');
      return text;
    };
    assert.doesNotMatch(await askAs('65534'), /HTTP/);
    assert.match(await askAs('0'), /^HTTP\/1.1 200 /);
  },
);
