import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { testKms } from '../testing/kms-suite.ts';
import { openRoleKms, type KmsProvider } from './kms.ts';
import { openKeyFileKms, type KeyFileOptions } from './kms-file.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'holdfast kms '));
});
after(() => rm(folder, { recursive: true, force: true }));

const notRoot = process.getuid?.() !== 0 && 'needs root: only root can give files away';
const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
/** The least that is taken: what is tested is not the cost. */
const cost = { memoryKibibytes: 19_456, passes: 1, lanes: 1 };
const told = (text: string) => () => Promise.resolve(new TextEncoder().encode(text));
const at = (name: string) => path.join(folder, name);
const open = (name: string, options: Partial<KeyFileOptions> = {}) =>
  openKeyFileKms(at(name), { nowMs: 1_700_000_000_000, cost, ...options });

let places = 0;
for (const [name, options] of [
  ['key file', {}],
  ['key file with a passphrase', { readSecret: told('correct horse battery') }],
] as const)
  testKms({
    name,
    makePlace: () => {
      const file = `place ${++places}`;
      return Promise.resolve({ open: () => open(file, options) });
    },
  });

async function keysFor(kms: KmsProvider) {
  const access = await kms.accessFor('keystore');
  assert.ok(access.kind === 'keys');
  return access.keys;
}

const first = JSON.stringify({
  format: 'holdfast-master-keys-v1',
  keys: [{ keyId: 'a'.repeat(16), key: Buffer.alloc(32, 7).toString('base64'), createdAt: '2026-01-01T00:00:00Z' }],
});

test('a file of the first form still opens, and its passwords stay when its keys are changed', async () => {
  await writeFile(at('first'), first, { mode: 0o600 });
  const kms = await open('first');
  const wrapped = await kms.forRole('api').wrap(secret, context);
  assert.match(wrapped, /^hfw1\.a{16}\.api\./);
  // A database was made with it.
  const oldest = hkdfSync('sha256', Buffer.alloc(32, 7), new Uint8Array(), 'holdfast password hf_api', 32);
  const password = Buffer.from(oldest).toString('base64url');
  assert.equal(kms.derivePassword('hf_api'), password);
  await kms.addKeys();
  assert.deepEqual(await (await open('first')).forRole('api').unwrap(wrapped, context), secret);
  await kms.removeKeys(['a'.repeat(16)]);
  assert.equal((await open('first')).derivePassword('hf_api'), password);
  await assert.rejects((await open('first')).forRole('api').unwrap(wrapped, context), { code: 'kms.unknown_key' });
});

test('a role of its own opens with the keys it is handed and nothing else, and follows their change', async () => {
  const kms = await open('handed');
  const handed = kms.roleKeys('keystore');
  const fixed = openRoleKms('keystore', handed);
  const wrapped = await kms.forRole('keystore').wrap(secret, context);
  assert.deepEqual(await fixed.unwrap(wrapped, context), secret);
  assert.deepEqual(await kms.forRole('keystore').unwrap(await fixed.wrap(secret, context), context), secret);
  await assert.rejects(fixed.unwrap(await kms.forRole('api').wrap(secret, context), context), {
    code: 'kms.not_opened',
  });
  const file = await readFile(at('handed'), 'utf8');
  for (const { key } of handed) assert.ok(!file.includes(Buffer.from(key).toString('base64')));
  let known = handed;
  const following = openRoleKms('keystore', {
    known: () => known,
    newest: async () => (known = await keysFor(kms)),
  });
  await (await open('handed')).addKeys();
  const newer = await (await open('handed')).forRole('keystore').wrap(secret, context);
  await assert.rejects(fixed.unwrap(newer, context), { code: 'kms.unknown_key' });
  assert.deepEqual(await following.unwrap(newer, context), secret);
  assert.deepEqual(await following.unwrap(wrapped, context), secret);
});

test('many that start at once make one key file, readable by its owner alone, and leave nothing beside it', async () => {
  await Promise.all(Array.from({ length: 20 }, () => open('at once')));
  assert.equal((await stat(at('at once'))).mode & 0o777, 0o600);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('.at once')),
    [],
  );
});

test('a key file of somebody else is refused, whoever made it', { skip: notRoot }, async () => {
  await open('foreign');
  await chown(at('foreign'), 65_534, 65_534);
  await assert.rejects(open('foreign'), { code: 'kms.foreign_key_file', kind: 'forbidden' });
  await chown(at('foreign'), 0, 65_534);
  await open('foreign');
});

test('a key file that others can read, or that is none, is refused', async () => {
  await open('exposed');
  await chmod(at('exposed'), 0o640);
  await assert.rejects(open('exposed'), { code: 'kms.exposed_key_file' });
  await chmod(at('exposed'), 0o600);
  await open('exposed');
  const short = { keyId: '0'.repeat(16), key: 'AAAA', createdAt: '2026-01-01T00:00:00Z' };
  for (const text of ['', '{}', 'x', JSON.stringify({ format: 'holdfast-master-keys-v1', keys: [short] })]) {
    await writeFile(at('broken'), text, { mode: 0o600 });
    await assert.rejects(open('broken'), { code: 'kms.bad_key_file' });
  }
  await writeFile(at('broken'), first);
  await open('broken');
});

test('a passphrase closes the file: it opens with that one alone, and holds no key that can be read', async () => {
  const passphrase = told('größere Welle 42');
  const kms = await open('closed', { readSecret: passphrase });
  const wrapped = await kms.forRole('api').wrap(secret, context);
  assert.equal(await kms.hasPassphrase(), true);
  const [{ keyId } = { keyId: '' }] = await kms.listKeys();
  assert.ok(!(await readFile(at('closed'), 'utf8')).includes(keyId));
  await assert.rejects(open('closed'), { code: 'kms_passphrase.missing' });
  await assert.rejects(open('closed', { readSecret: told('größere Welle 43') }), { code: 'kms_passphrase.wrong' });
  const decomposed = told('größere Welle 42'.normalize('NFD'));
  assert.deepEqual(
    await (await open('closed', { readSecret: decomposed })).forRole('api').unwrap(wrapped, context),
    secret,
  );
});

test('a passphrase is added, changed and removed; a running server goes on, and reads the file with the new one', async () => {
  const running = await open('changing', { readSecret: told('not asked for yet') });
  await running.setPassphrase(undefined);
  const wrapped = await running.forRole('api').wrap(secret, context);
  const opens = async (readSecret?: KeyFileOptions['readSecret']) => {
    const kms = await open('changing', readSecret ? { readSecret } : {});
    assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
    return kms;
  };
  const one = told('the first passphrase');
  const two = told('the second passphrase');
  await (await opens()).setPassphrase(await one());
  await assert.rejects(opens(), { code: 'kms_passphrase.missing' });
  const changing = await opens(one);
  await changing.setPassphrase(await two());
  await assert.rejects(opens(one), { code: 'kms_passphrase.wrong' });
  // It was started with another one: what it knows works on, what came since does not.
  assert.deepEqual(
    await running.forRole('api').unwrap(await running.forRole('api').wrap(secret, context), context),
    secret,
  );
  await (await opens(two)).addKeys();
  const newer = await (await opens(two)).forRole('api').wrap(secret, context);
  await assert.rejects(running.forRole('api').unwrap(newer, context), { code: 'kms.unknown_key' });
  await (await opens(two)).setPassphrase(undefined);
  assert.deepEqual(await running.forRole('api').unwrap(newer, context), secret);
  assert.equal(await (await opens()).hasPassphrase(), false);
});

test('a short passphrase is refused, and the file stays as it was', async () => {
  await open('short');
  const before = await readFile(at('short'), 'utf8');
  await assert.rejects((await open('short')).setPassphrase(await told('elevenchars')()), {
    code: 'kms_passphrase.too_short',
  });
  assert.equal(await readFile(at('short'), 'utf8'), before);
  await assert.rejects(open('never made', { readSecret: told('elevenchars') }), { code: 'kms_passphrase.too_short' });
  await (await open('short')).setPassphrase(await told('twelve chars')());
});

test('what closing costs is bounded, and bound into the file', async () => {
  const readSecret = told('correct horse battery');
  await open('costs', { readSecret });
  const file = JSON.parse(await readFile(at('costs'), 'utf8')) as { passphrase: Record<string, unknown> };
  const put = (passphrase: object) => writeFile(at('costs'), JSON.stringify({ ...file, passphrase }));
  for (const bad of [
    { memoryKibibytes: 19_455 },
    { memoryKibibytes: 1_048_577 },
    { passes: 0 },
    { passes: 11 },
    { lanes: 5 },
  ]) {
    await put({ ...file.passphrase, ...bad });
    await assert.rejects(open('costs', { readSecret }), { code: 'kms.bad_key_file' });
  }
  for (const other of [{ memoryKibibytes: 20_000 }, { passes: 2 }, { lanes: 2 }]) {
    await put({ ...file.passphrase, ...other });
    await assert.rejects(open('costs', { readSecret }), { code: 'kms_passphrase.wrong' });
  }
  await put(file.passphrase);
  await open('costs', { readSecret });
});

test('what a crash left of a file half written is removed with the next change', async () => {
  const kms = await open('crashed');
  const left = at('.crashed.0123456789abcdef');
  await writeFile(left, await readFile(at('crashed')));
  await kms.addKeys();
  await assert.rejects(stat(left), { code: 'ENOENT' });
  assert.equal((await kms.listKeys()).length, 2);
});
