import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { peerOf } from './peer.ts';
import { temporaryFolder } from './temporary-folder.ts';

async function listening(t: TestContext, address: string | { host: string; port: number }): Promise<Server> {
  const server = createServer();
  t.after(() => server.close());
  server.listen(address);
  await once(server, 'listening');
  return server;
}

async function accepted(server: Server): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket];
  return socket;
}

test('the peer of a local socket is the process, user and group that connected', async (t) => {
  const path = `${temporaryFolder(t)}/socket`;
  const server = await listening(t, path);
  const client = connect(path);
  const socket = await accepted(server);
  assert.deepEqual(peerOf(socket), { processId: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  socket.destroy();
  client.destroy();
  await once(socket, 'close');
  assert.throws(() => peerOf(socket), { code: 'files.bad_descriptor' });
});

test('a peer that became another user is that user', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const server = await listening(t, `${folder}/socket`);
  chmodSync(`${folder}/socket`, 0o777);
  const script = `
    process.setgid(65533);
    process.setuid(65534);
    require('node:net').connect(${JSON.stringify(`${folder}/socket`)}).on('close', () => process.exit(0));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'inherit' });
  const socket = await accepted(server);
  assert.deepEqual(peerOf(socket), { processId: child.pid, uid: 65_534, gid: 65_533 });
  socket.destroy();
  await once(child, 'exit');
});

test('a TCP socket has no peer that the kernel knows', async (t) => {
  const server = await listening(t, { host: '127.0.0.1', port: 0 });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const client = connect(address.port, '127.0.0.1');
  const socket = await accepted(server);
  assert.throws(() => peerOf(socket), { code: 'files.bad_descriptor' });
  socket.destroy();
  client.destroy();
});
