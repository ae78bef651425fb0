import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { fetchCa } from './enroll.ts';

const mib = 1024 * 1024;

/** A server with a certificate of its own making, which answers as it is told. */
async function serverOf(t: TestContext, answer: (reply: ServerResponse, pem: string) => void) {
  const folder = temporaryFolder(t);
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', ...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const pem = readFileSync(cert, 'utf8');
  const server = createServer({ key: readFileSync(key), cert: pem }, (_, reply) => answer(reply, pem));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, pem, fingerprint };
}

test('the CA is fetched from whoever answers, and nobody who answers fills the memory', async (t) => {
  const honest = await serverOf(t, (reply, pem) => void reply.end(pem));
  assert.equal(await fetchCa(honest.url, honest.fingerprint), honest.pem);
  const inPieces = await serverOf(t, (reply, pem) => {
    reply.write(pem.slice(0, 100));
    reply.end(pem.slice(100));
  });
  assert.equal(await fetchCa(inPieces.url, inPieces.fingerprint), inPieces.pem);
  await assert.rejects(fetchCa(honest.url, inPieces.fingerprint), { code: 'cloud_link.ca_mismatch' });
  let sentBytes = 0;
  const endless = await serverOf(t, (reply) => {
    const more = () => {
      while (!reply.destroyed && reply.write(Buffer.alloc(mib, 65))) sentBytes += mib;
      sentBytes += mib;
    };
    reply.on('drain', more);
    more();
  });
  const before = process.memoryUsage().rss;
  await assert.rejects(fetchCa(endless.url, endless.fingerprint), { code: 'cloud_link.ca_unreachable' });
  assert.ok(process.memoryUsage().rss - before < 100 * mib);
  assert.ok(sentBytes > 0 && sentBytes < 50 * mib, `${sentBytes} bytes were taken`);
});
