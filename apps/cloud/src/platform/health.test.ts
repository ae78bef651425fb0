import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openSocketHost } from './embedded-postgres.ts';
import { startPrivateServer, type Readiness } from './health.ts';
import { createMetrics } from './metrics.ts';

async function ask(options: http.RequestOptions) {
  const [reply] = (await once(http.get({ agent: false, ...options }), 'response')) as [http.IncomingMessage];
  const body = Buffer.concat(await Array.fromAsync(reply as AsyncIterable<Buffer>)).toString();
  return { status: reply.statusCode, body };
}

test('a socket of mode 0600 answers probes, below a path too long for a socket as well', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast health '));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const homeDir of [folder, path.join(folder, 'x'.repeat(120))]) {
    mkdirSync(homeDir, { recursive: true });
    const socketFile = path.join(homeDir, 'private.sock');
    writeFileSync(socketFile, 'left over');
    let readiness: Readiness = { database: 'ok' };
    const options = { address: { socketFile }, metrics: createMetrics(), readiness: async () => readiness };
    const server = await startPrivateServer(options);
    assert.equal(statSync(socketFile).mode & 0o777, 0o600);
    const folderOfSocket = openSocketHost(homeDir);
    const socketPath = path.join(folderOfSocket.host, 'private.sock');
    assert.deepEqual(await ask({ socketPath, path: '/livez' }), { status: 200, body: 'ok\n' });
    assert.equal((await ask({ socketPath, path: '/readyz' })).status, 200);
    readiness = { database: 'gone', blobs: 'ok' };
    const refused = await ask({ socketPath, path: '/readyz' });
    assert.equal(refused.status, 503);
    assert.deepEqual(JSON.parse(refused.body), { ready: false, checks: readiness });
    assert.match((await ask({ socketPath, path: '/metrics' })).body, /^process_cpu_seconds_total /m);
    assert.equal((await ask({ socketPath, path: '/' })).status, 404);
    folderOfSocket.close();
    await server.close();
    assert.equal(existsSync(socketFile), false);
  }
});

test('a port of this machine does as well', async () => {
  const options = { metrics: createMetrics(), readiness: async () => ({}) };
  const server = await startPrivateServer({ ...options, address: { host: '127.0.0.1', port: 0 } });
  const port = Number(server.address.split(':')[1]);
  assert.equal((await ask({ port, path: '/readyz' })).status, 200);
  await server.close();
});
