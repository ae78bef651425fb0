import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { createHttpsFetch } from './https-fetch.ts';

/** A server whose own certificate holds for so many days, and a fetch that trusts `ca`, or that certificate. */
async function fetchFrom(t: TestContext, { days, host = 'localhost' }: { days: number; host?: string }, ca?: string) {
  const folder = temporaryFolder(t);
  const [key, request, cert] = ['key.pem', 'request.pem', 'cert.pem'].map((name) => path.join(folder, name));
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', ...made, '-keyout', key!, '-out', request!], { stdio: 'ignore' });
  const signed = ['-req', '-in', request!, '-signkey', key!, '-days', String(days), '-out', cert!];
  execFileSync('openssl', ['x509', ...signed], { stdio: 'ignore' });
  const pem = readFileSync(cert!, 'utf8');
  const server = createServer({ key: readFileSync(key!), cert: pem }, (_, reply) => reply.end('there'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const https = createHttpsFetch({ ca: ca ?? pem });
  t.after(() => {
    https.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `https://${host}:${(server.address() as AddressInfo).port}/`;
  return { pem, get: () => https.fetch(url, { method: 'GET', headers: {}, credentials: 'omit' }) };
}

test('a certificate that holds and is trusted is taken; any other is told apart from a server that is away', async (t) => {
  const trusted = await fetchFrom(t, { days: 1 });
  assert.equal(await (await trusted.get()).text(), 'there');
  const expired = await fetchFrom(t, { days: -1 });
  await assert.rejects(expired.get(), (error) => {
    assert.ok(error instanceof CodedError);
    assert.equal(error.code, 'certificate.wrong_time');
    assert.match(String(error.details['remedy']), new RegExp(`clock, which says ${new Date().getFullYear()}-`));
    return true;
  });
  const another = await fetchFrom(t, { days: 1 }, trusted.pem);
  await assert.rejects(another.get(), { code: 'certificate.untrusted' });
  const otherName = await fetchFrom(t, { days: 1, host: '127.0.0.1' });
  await assert.rejects(otherName.get(), { code: 'certificate.untrusted' });
  const away = createHttpsFetch({ ca: trusted.pem });
  t.after(() => away.close());
  const refused = away.fetch('https://127.0.0.1:1/', { method: 'GET', headers: {}, credentials: 'omit' });
  await assert.rejects(refused, (error) => !(error instanceof CodedError));
});
