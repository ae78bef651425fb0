import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { createHttpsFetch } from './https-fetch.ts';

/** 100 bytes in each 300 ms of waiting. */
const leastPace = { everyMs: 20, moments: 15, bytes: 100 };

/** A server that answers by `answer`, and how it is asked. */
async function serverOf(t: TestContext, answer: (reply: ServerResponse) => void) {
  const folder = temporaryFolder(t);
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', '-x509', ...made, '-days', '1', '-keyout', key!, '-out', cert!], { stdio: 'ignore' });
  const pem = readFileSync(cert!, 'utf8');
  const server = createServer({ key: readFileSync(key!), cert: pem }, (_, reply) => answer(reply));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const https = createHttpsFetch({ ca: pem, leastPace });
  t.after(() => {
    https.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
  const init = { method: 'GET', headers: {}, credentials: 'omit' } as const;
  return (signal?: AbortSignal) => https.fetch(url, { ...init, ...(signal && { signal }) });
}

/** Sends so many pieces of so many bytes, one every 30 ms; the length is said where it is small. */
function trickle(reply: ServerResponse, pieces: number, bytes: number, isLengthSaid = false): void {
  if (isLengthSaid) reply.setHeader('content-length', pieces * bytes);
  let left = pieces;
  const timer = setInterval(() => {
    if (left-- > 0 && !reply.destroyed) {
      reply.write(Buffer.alloc(bytes));
    } else {
      clearInterval(timer);
      reply.end();
    }
  }, 30);
}

test(
  'an answer that comes a byte at a time is ended, whether its length is said or not',
  { timeout: 60_000 },
  async (t) => {
    for (const isLengthSaid of [true, false]) {
      const get = await serverOf(t, (reply) => trickle(reply, 10_000, 1, isLengthSaid));
      const asked = async () => (await get()).arrayBuffer();
      await assert.rejects(asked, { code: 'cloud_link.reply_slow' });
    }
  },
);

test('an answer that is slow and goes on is read to its end', { timeout: 60_000 }, async (t) => {
  for (const isLengthSaid of [true, false]) {
    const get = await serverOf(t, (reply) => trickle(reply, 40, 100, isLengthSaid));
    assert.equal((await (await get()).arrayBuffer()).byteLength, 4000);
  }
});

test('whoever reads an answer may take longer than the answer may', { timeout: 60_000 }, async (t) => {
  const sizeBytes = 3 * 1024 * 1024;
  const get = await serverOf(t, (reply) => reply.end(Buffer.alloc(sizeBytes)));
  let read = 0;
  let isRested = false;
  for await (const chunk of (await get()).body!) {
    read += (chunk as Uint8Array).length;
    // The waiting is what is tested: thrice as long as nothing may come.
    if (!isRested && read > 100_000) isRested = (await sleep(1000), true);
  }
  assert.equal(read, sizeBytes);
});

test('an answer that goes on slowly ends with the signal of whoever asked', { timeout: 60_000 }, async (t) => {
  const get = await serverOf(t, (reply) => trickle(reply, 10_000, 100));
  const asking = new AbortController();
  const reply = await get(asking.signal);
  const read = reply.arrayBuffer();
  asking.abort();
  await assert.rejects(read);
});
