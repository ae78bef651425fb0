import assert from 'node:assert/strict';
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openKeyFileKms } from './kms.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'holdfast kms '));
});
after(() => rm(folder, { recursive: true, force: true }));

const notRoot = process.getuid?.() !== 0 && 'needs root: only root can give files away';
const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
const open = (name: string) => openKeyFileKms(path.join(folder, name), { nowMs: 1_700_000_000_000 });

test('a wrapped secret opens for its role and context, also after a restart, and names its key', async () => {
  const wrapped = await (await open('one')).forRole('api').wrap(secret, context);
  const again = (await open('one')).forRole('api');
  assert.deepEqual(await again.unwrap(wrapped, context), secret);
  const { keys } = JSON.parse(await readFile(path.join(folder, 'one'), 'utf8')) as { keys: { keyId: string }[] };
  assert.ok(wrapped.startsWith(`hfw1.${keys[0]?.keyId}.api.`));
  assert.ok(!wrapped.includes(Buffer.from(secret).toString('base64url')));
  assert.notEqual(await again.wrap(secret, context), wrapped);
});

test('it opens for no other role, purpose or tenant, and not when one character differs', async () => {
  const kms = await open('two');
  const wrapped = await kms.forRole('api').wrap(secret, context);
  assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
  const notOpened = { code: 'kms.not_opened' };
  await assert.rejects(kms.forRole('storage').unwrap(wrapped, context), notOpened);
  await assert.rejects(kms.forRole('storage').unwrap(wrapped.replace('.api.', '.storage.'), context), notOpened);
  await assert.rejects(kms.forRole('api').unwrap(wrapped, { ...context, purpose: 'other' }), notOpened);
  await assert.rejects(kms.forRole('api').unwrap(wrapped, { ...context, tenantId: 'tenant-2' }), notOpened);
  await assert.rejects(kms.forRole('api').unwrap(wrapped, { purpose: 'log-key' }), notOpened);
  for (const at of [wrapped.lastIndexOf('.') + 5, wrapped.length - 30, wrapped.length - 3]) {
    const changed = wrapped.slice(0, at) + (wrapped[at] === 'A' ? 'B' : 'A') + wrapped.slice(at + 1);
    await assert.rejects(kms.forRole('api').unwrap(changed, context), notOpened);
  }
  for (const text of ['', 'hfw1', 'hfw2.a.api.b', wrapped.slice(0, 40)])
    await assert.rejects(kms.forRole('api').unwrap(text, context), /could not be opened|not in the key file/);
});

test('the newest key wraps and older ones still open', async () => {
  const wrapped = await (await open('three')).forRole('api').wrap(secret, context);
  const file = path.join(folder, 'three');
  const content = JSON.parse(await readFile(file, 'utf8')) as { keys: unknown[] };
  content.keys.push({
    keyId: 'f'.repeat(16),
    key: Buffer.alloc(32, 7).toString('base64'),
    createdAt: '2026-01-01T00:00:00Z',
  });
  await writeFile(file, JSON.stringify(content));
  const rotated = (await open('three')).forRole('api');
  assert.deepEqual(await rotated.unwrap(wrapped, context), secret);
  const newer = await rotated.wrap(secret, context);
  assert.match(newer, /^hfw1\.f{16}\.api\./);
  content.keys.shift();
  await writeFile(file, JSON.stringify(content));
  const without = (await open('three')).forRole('api');
  await assert.rejects(without.unwrap(wrapped, context), { code: 'kms.unknown_key' });
  assert.deepEqual(await without.unwrap(newer, context), secret);
});

test('passwords that follow from the master keys stay as they are when a key is added', async () => {
  const before = await open('adding');
  const file = path.join(folder, 'adding');
  const content = JSON.parse(await readFile(file, 'utf8')) as { keys: unknown[] };
  const key = { keyId: 'e'.repeat(16), key: Buffer.alloc(32, 9).toString('base64'), createdAt: '2026-01-01T00:00:00Z' };
  await writeFile(file, JSON.stringify({ ...content, keys: [...content.keys, key] }));
  const after = await open('adding');
  assert.match(await after.forRole('api').wrap(secret, context), /^hfw1\.e{16}\./);
  assert.equal(after.derivePassword('hf_api'), before.derivePassword('hf_api'));
  await writeFile(file, JSON.stringify({ ...content, keys: [key] }));
  assert.notEqual((await open('adding')).derivePassword('hf_api'), before.derivePassword('hf_api'));
});

test('many that start at once make one key file, readable by its owner alone, and leave nothing beside it', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => open('at once')));
  const wrapped = await all[0]!.forRole('api').wrap(secret, context);
  for (const kms of all) assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
  assert.equal((await stat(path.join(folder, 'at once'))).mode & 0o777, 0o600);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a key file of somebody else is refused, whoever made it', { skip: notRoot }, async () => {
  await open('foreign');
  const file = path.join(folder, 'foreign');
  await chown(file, 65_534, 65_534);
  await assert.rejects(open('foreign'), { code: 'kms.foreign_key_file', kind: 'forbidden' });
  await chown(file, 0, 65_534);
  await open('foreign');
});

test('a key file that others can read, or that is none, is refused', async () => {
  await open('exposed');
  await chmod(path.join(folder, 'exposed'), 0o640);
  await assert.rejects(open('exposed'), { code: 'kms.exposed_key_file' });
  await chmod(path.join(folder, 'exposed'), 0o600);
  await open('exposed');
  const short = { keyId: '0'.repeat(16), key: 'AAAA', createdAt: '2026-01-01T00:00:00Z' };
  for (const text of ['', '{}', 'x', JSON.stringify({ format: 'holdfast-master-keys-v1', keys: [short] })]) {
    await writeFile(path.join(folder, 'broken'), text, { mode: 0o600 });
    await assert.rejects(open('broken'), { code: 'kms.bad_key_file' });
  }
});

test('derived passwords are the same every time, differ by purpose, and follow the master key', async () => {
  const [one, other] = [await open('four'), await open('five')];
  assert.equal(one.derivePassword('hf_api'), (await open('four')).derivePassword('hf_api'));
  assert.match(one.derivePassword('hf_api'), /^[\w-]{43}$/);
  assert.notEqual(one.derivePassword('hf_api'), one.derivePassword('hf_system'));
  assert.notEqual(one.derivePassword('hf_api'), other.derivePassword('hf_api'));
});
