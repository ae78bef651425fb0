import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';

const launcher = path.resolve(import.meta.dirname, '../bin/holdfast.mjs');
const skip = process.platform !== 'linux' && 'the stores of other systems belong to their users';

/** A user with a home, a Holdfast and a certutil that writes down what it is told. */
function user(t: TestContext, options: { withCertutil: boolean }) {
  const home = mkdtempSync(path.join(tmpdir(), 'holdfast trust '));
  t.after(() => rmSync(home, { recursive: true }));
  const [bin, tlsDir] = [path.join(home, 'bin'), path.join(home, '.holdfast', 'tls')];
  mkdirSync(bin);
  mkdirSync(tlsDir, { recursive: true });
  const [caFile, keyFile] = [path.join(tlsDir, 'ca.pem'), path.join(home, 'key.pem')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=Test CA 1',
  ];
  execFileSync('openssl', [...request, '-keyout', keyFile, '-out', caFile], { stdio: 'ignore' });
  const calls = path.join(home, 'calls');
  const script = `#!/bin/sh\nprintf '%s|' "$@" >> '${calls}'; echo >> '${calls}'\n[ "$3" != -N ] || : > "\${2#sql:}/cert9.db"\n`;
  if (options.withCertutil) writeFileSync(path.join(bin, 'certutil'), script);
  if (options.withCertutil) chmodSync(path.join(bin, 'certutil'), 0o755);
  const env = { HOME: home, PATH: bin, HOLDFAST_HOME: path.join(home, '.holdfast') };
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [launcher, 'cloud', 'trust-ca', ...args], { env, encoding: 'utf8', cwd: home });
  return { home, caFile, calls, run };
}

test('the CA is put into the databases of Chromium and Firefox, twice as well as once', { skip }, (t) => {
  const { home, caFile, calls, run } = user(t, { withCertutil: true });
  const profile = path.join(home, '.mozilla', 'firefox', 'x.default');
  mkdirSync(profile, { recursive: true });
  writeFileSync(path.join(profile, 'cert9.db'), '');
  const shared = path.join(home, '.pki', 'nssdb');
  const first = run('--json');
  assert.equal(first.status, 0, first.stderr);
  assert.deepEqual(JSON.parse(first.stdout), { caFile, stores: [shared, profile] });
  const add = (database: string) => `-d|sql:${database}|-A|-n|Test CA 1|-t|C,,|-i|${caFile}|`;
  const expected = [`-d|sql:${shared}|-N|--empty-password|`, add(shared), add(profile)];
  assert.deepEqual(readFileSync(calls, 'utf8').trim().split('\n'), expected);
  assert.equal(run().status, 0);
  assert.deepEqual(readFileSync(calls, 'utf8').trim().split('\n').slice(3), [add(shared), add(profile)]);
});

test('without certutil it says which package has it, and changes nothing', { skip }, (t) => {
  if (['/usr/sbin/certutil', '/sbin/certutil'].some((file) => existsSync(file)))
    return t.skip('certutil is in /usr/sbin');
  const { home, run } = user(t, { withCertutil: false });
  const { status, stderr } = run();
  assert.equal(status, 8);
  assert.match(stderr, /trust_store\.no_tool[^]*libnss3-tools/);
  assert.equal(existsSync(path.join(home, '.pki')), false);
});
