import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { testKms } from '../testing/kms-suite.ts';
import { makeSoftToken, noSoftToken, type SoftToken } from '../testing/soft-token.ts';
import { openTokenKms, openTokenRoleKms, type TokenKms } from './kms-pkcs11.ts';
import { loadTokenModule } from './pkcs11-calls.ts';
import { findTokenKeys } from './token-keys.ts';
import { TokenSession } from './token-session.ts';

const skip = noSoftToken;
const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
const told = (text: string) => () => Promise.resolve(new TextEncoder().encode(text));

let soft: SoftToken;
let folder: string;
let token: SoftToken['place'];
before(async () => {
  soft = await makeSoftToken();
  process.env['SOFTHSM2_CONF'] = soft.configFile;
  ({ folder, place: token } = soft);
});
after(() => soft.remove());

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
  soft.run('--import', file, '--aes', '--label', label, '--id', 'ff'.repeat(12));
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
});

test('a role that is a process of its own opens its own keys of the token', { skip }, async () => {
  const kms = await open(nextFile());
  const keystore = openTokenRoleKms('keystore', { ...token, keySet: kms.keySet });
  const wrapped = await kms.forRole('keystore').wrap(secret, context);
  assert.deepEqual(await keystore.unwrap(wrapped, context), secret);
  assert.deepEqual(await kms.forRole('keystore').unwrap(await keystore.wrap(secret, context), context), secret);
});
