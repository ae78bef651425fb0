import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { testKms } from '../testing/kms-suite.ts';
import { openTokenKms, openTokenRoleKms, type TokenKms } from './kms-pkcs11.ts';
import { loadTokenModule } from './pkcs11-calls.ts';
import { findTokenKeys } from './token-keys.ts';
import { TokenSession } from './token-session.ts';

/** Of the Debian package softhsm2. */
const [modulePath] = globSync('/usr/lib{,/*}/softhsm/libsofthsm2.so');
const skip = modulePath === undefined && 'needs SoftHSM2: apt-get install softhsm2';

const PIN = 'only for tests';
const LABEL = 'holdfast tests';
const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
const told = (text: string) => () => Promise.resolve(new TextEncoder().encode(text));
const token = { modulePath: modulePath ?? '', tokenLabel: LABEL, readPin: told(PIN) };

let folder: string;
let configFile: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'holdfast token '));
  configFile = path.join(folder, 'softhsm2.conf');
  const tokens = path.join(folder, 'tokens');
  await mkdir(tokens);
  await writeFile(configFile, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  // The module reads it when it is initialized, which this process does once.
  process.env['SOFTHSM2_CONF'] = configFile;
  if (skip) return;
  softhsm('--init-token', '--free', '--label', LABEL, '--pin', PIN, '--so-pin', 'only for tests, too');
});
after(() => rm(folder, { recursive: true, force: true }));

function softhsm(...words: readonly string[]): void {
  execFileSync('softhsm2-util', words, { env: { ...process.env, SOFTHSM2_CONF: configFile } });
}

let places = 0;
const nextFile = () => path.join(folder, `place ${++places}`);
const opened: TokenKms[] = [];
async function open(file: string): Promise<TokenKms> {
  const kms = await openTokenKms(file, token);
  opened.push(kms);
  return kms;
}
after(async () => {
  for (const kms of opened) await kms.close();
});

/** Ends every session of this process, and with them the login: as when a token was taken out, or its server started again. */
async function loseToken(): Promise<void> {
  const module = loadTokenModule(token.modulePath);
  const [count, slots] = [module.memory.words(16), module.memory.room(16 * 8)];
  assert.equal(await module.call('C_GetSlotList', 1, slots, count), 0);
  for (let index = 0; index < Number(module.memory.word(count)); index++)
    await module.call('C_CloseAllSessions', module.memory.word(slots, index));
}

testKms({
  name: 'token (SoftHSM2)',
  skip,
  makePlace: () => {
    const file = nextFile();
    return Promise.resolve({ open: () => open(file) });
  },
});

test('after the token was lost it is opened anew, and everything goes on', { skip }, async () => {
  const kms = await open(nextFile());
  const wrapped = await kms.forRole('api').wrap(secret, context);
  for (let round = 0; round < 3; round++) {
    await loseToken();
    const work = Array.from({ length: 8 }, () => kms.forRole('api').unwrap(wrapped, context));
    for (const each of await Promise.all(work)) assert.deepEqual(each, secret);
    await loseToken();
    assert.deepEqual(await kms.forRole('api').unwrap(await kms.forRole('api').wrap(secret, context), context), secret);
  }
});

test('a PIN that is refused is tried once, so that it locks no token; the right one opens', { skip }, async () => {
  const file = nextFile();
  await (await open(file)).close();
  await loseToken();
  let asked = 0;
  const readPin = () => {
    asked++;
    return told('wrong')();
  };
  const session = new TokenSession({ ...token, readPin });
  for (let tries = 0; tries < 20; tries++)
    await assert.rejects(
      session.run(() => Promise.resolve()),
      { code: 'kms_token.pin_refused' },
    );
  assert.equal(asked, 1);
  await assert.rejects(openTokenKms(file, { ...token, readPin: () => Promise.resolve(undefined) }), {
    code: 'kms_token.no_pin',
  });
  await open(file);
});

test('a module or token that is not there is said to be, and one that is there opens', { skip }, async () => {
  const missing = path.join(folder, 'none.so');
  await assert.rejects(openTokenKms(nextFile(), { ...token, modulePath: missing }), { code: 'kms_token.no_module' });
  const { execPath: notOne } = process;
  await assert.rejects(openTokenKms(nextFile(), { ...token, modulePath: notOne }), { code: 'kms_token.no_module' });
  await assert.rejects(openTokenKms(nextFile(), { ...token, tokenLabel: 'holdfast test' }), {
    code: 'kms_token.not_found',
  });
  await open(nextFile());
});

test('keys are never to be had from the token, and one that could have been is not used', { skip }, async () => {
  const kms = await open(nextFile());
  await kms.forRole('api').wrap(secret, context);
  const label = `holdfast ${kms.keySet} api`;
  const session = new TokenSession(token);
  await session.run(async (calls) => {
    const [key] = await findTokenKeys(calls, label);
    assert.ok(key);
    const value = calls.memory.words(0x11, calls.memory.room(32), 32);
    await assert.rejects(calls.call('C_GetAttributeValue', calls.session, key.object, value, 1), /answered 0x11$/);
  });
  await session.close();
  const file = path.join(folder, 'aes.key');
  await writeFile(file, Buffer.alloc(32, 7));
  softhsm('--import', file, '--aes', '--token', LABEL, '--pin', PIN, '--label', label, '--id', 'ff'.repeat(12));
  await assert.rejects(kms.forRole('api').wrap(secret, context), { code: 'kms_token.weak_key' });
  await kms.forRole('storage').wrap(secret, context);
});

test('installations share a token without touching the keys of one another', { skip }, async () => {
  const [one, other] = [await open(nextFile()), await open(nextFile())];
  const wrapped = await other.forRole('api').wrap(secret, context);
  const older = (await one.listKeys()).map(({ keyId }) => keyId);
  await one.addKeys();
  await one.rewrapOwn();
  await one.removeKeys([...older, ...(await other.listKeys()).map(({ keyId }) => keyId)]);
  assert.deepEqual(await other.forRole('api').unwrap(wrapped, context), secret);
  await assert.rejects(one.forRole('api').unwrap(wrapped, context), { code: 'kms.unknown_key' });
});

test('a key that the secret of the passwords needs is not removed before that is wrapped anew', { skip }, async () => {
  const file = nextFile();
  const kms = await open(file);
  const older = (await kms.listKeys()).map(({ keyId }) => keyId);
  await kms.addKeys();
  await assert.rejects(kms.removeKeys(older), { code: 'kms_change.last_key' });
  await kms.rewrapOwn();
  await kms.removeKeys(older);
  assert.equal((await open(file)).derivePassword('x'), kms.derivePassword('x'));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('.')),
    [],
  );
  assert.ok(!(await readFile(file, 'utf8')).includes(PIN));
});

test('a role that is a process of its own opens its own keys of the token', { skip }, async () => {
  const kms = await open(nextFile());
  const keystore = openTokenRoleKms('keystore', { ...token, keySet: kms.keySet });
  const wrapped = await kms.forRole('keystore').wrap(secret, context);
  assert.deepEqual(await keystore.unwrap(wrapped, context), secret);
  assert.deepEqual(await kms.forRole('keystore').unwrap(await keystore.wrap(secret, context), context), secret);
});
