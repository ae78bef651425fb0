import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { kmsSecretReader } from './kms-secret.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'holdfast secret '));
});
after(() => rm(folder, { recursive: true, force: true }));

const notRoot = process.getuid?.() !== 0 && 'needs root: only root can give files away';
const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
const reader = (secretFile?: string, credentialsDir?: string) => kmsSecretReader({ secretFile, credentialsDir });

test('the secret is the one line of a file that only its owner may read, read anew each time', async () => {
  const file = path.join(folder, 'pin');
  const read = reader(file);
  for (const line of ['one two\n', 'größer', ' spaces count \r\n']) {
    await writeFile(file, line, { mode: 0o600 });
    assert.equal(text(await read()), line.replace(/\r?\n$/, ''));
  }
  for (const bad of ['', '\n', 'two\nlines\n', 'zero\0byte', 'x'.repeat(1025), Buffer.from([0xff, 0xfe])]) {
    await writeFile(file, bad);
    await assert.rejects(read(), { code: 'kms_secret.malformed' });
  }
  await writeFile(file, 'x'.repeat(1024));
  await chmod(file, 0o640);
  await assert.rejects(read(), { code: 'kms_secret.exposed' });
  await chmod(file, 0o400);
  assert.equal((await read())?.length, 1024);
  await assert.rejects(reader(path.join(folder, 'none'))(), { code: 'kms_secret.not_read' });
});

test('a file of another user is refused, one of root is not', { skip: notRoot }, async () => {
  const file = path.join(folder, 'given');
  await writeFile(file, 'secret', { mode: 0o600 });
  assert.equal(text(await reader(file)()), 'secret');
  await chown(file, 65_534, 65_534);
  await assert.rejects(reader(file)(), { code: 'kms_secret.foreign' });
});

test('without a file it is the credential holdfast-kms of the unit, opened as systemd opens it, and nothing where there is none', async () => {
  const credentials = path.join(folder, 'credentials');
  await mkdir(credentials);
  assert.equal(await reader()(), undefined);
  assert.equal(await reader(undefined, credentials)(), undefined);
  await writeFile(path.join(credentials, 'holdfast-kms'), 'from the unit');
  await chmod(path.join(credentials, 'holdfast-kms'), 0o440);
  assert.equal(text(await reader(undefined, credentials)()), 'from the unit');
  assert.equal(text(await reader(path.join(credentials, 'holdfast-kms'), credentials)()), 'from the unit');
  await assert.rejects(reader(path.join(credentials, 'holdfast-kms'))(), { code: 'kms_secret.exposed' });
});

test('standard input gives its first line, once, whether it ends or stays open', async () => {
  for (const close of [true, false]) {
    const input = new PassThrough();
    const read = kmsSecretReader({ secretFile: '-', credentialsDir: undefined }, input);
    input.write('half ');
    const first = read();
    input.write('and half\nnot this');
    if (close) input.end();
    assert.equal(text(await first), 'half and half');
    assert.equal(text(await read()), 'half and half');
  }
  const empty = new PassThrough();
  empty.end();
  await assert.rejects(kmsSecretReader({ secretFile: '-', credentialsDir: undefined }, empty)(), {
    code: 'kms_secret.malformed',
  });
});
