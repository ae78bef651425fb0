import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openKeyFileKms } from './kms-file.ts';

const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key' };
const ROUNDS = 6;

/** Adds and removes keys without end, and says when it has begun. */
const changing = (module: string, file: string) => `
  import { openKeyFileKms } from ${JSON.stringify(module)};
  const kms = await openKeyFileKms(${JSON.stringify(file)}, { nowMs: 0 });
  console.log('begun');
  for (;;) {
    await kms.addKeys();
    const keys = await kms.listKeys();
    await kms.removeKeys(keys.slice(0, -1).map(({ keyId }) => keyId));
  }`;

test('killed at any moment of changing the keys, the file is whole, and the next change leaves nothing beside it', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'holdfast kms crash '));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'keys');
  const password = (await openKeyFileKms(file, { nowMs: 0 })).derivePassword('hf_api');
  const module = path.join(import.meta.dirname, 'kms-file.ts');
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', changing(module, file)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, round * 6));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const kms = await openKeyFileKms(file, { nowMs: 0 });
    assert.equal(kms.derivePassword('hf_api'), password);
    const wrapped = await kms.forRole('api').wrap(secret, context);
    assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
    await kms.addKeys();
    await kms.removeKeys((await kms.listKeys()).slice(0, -1).map(({ keyId }) => keyId));
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('.')),
      [],
    );
  }
});
