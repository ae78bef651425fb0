import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { operateCloud, startCloud } from './app.ts';
import { readCloudConfig } from './config.ts';
import { MASTER_KEY_FILE } from './open-kms.ts';
import { silentLog } from './platform/log.ts';
import { readKeysStatus, rotateKeys } from './rotate-keys.ts';
import { setPassphrase } from './set-passphrase.ts';

const edges = { log: silentLog };

test('an operator closes the key file and changes the keys while the server runs, and it starts with the new ones', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast keys '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  const [homeDir, secretFile] = [path.join(folder, 'home'), path.join(folder, 'passphrase')];
  const configOf = (more: Record<string, string> = {}) =>
    readCloudConfig({ HOLDFAST_HOME: homeDir, HOLDFAST_LISTEN: '127.0.0.1:0', ...more });
  const withSecret = configOf({ HOLDFAST_KMS_SECRET_FILE: secretFile });
  writeFileSync(secretFile, 'correct horse battery\n', { mode: 0o600 });
  await assert.rejects(setPassphrase(configOf(), secretFile), { code: 'cloud.never_started' });

  const cloud = await startCloud(configOf(), edges);
  afterwards(t, () => cloud.stop());
  const status = () => operateCloud(withSecret, edges, ({ keys }) => readKeysStatus(keys));
  const [first] = (await status()).keys;
  assert.ok(first && first.secrets >= 3 && first.wraps);
  await setPassphrase(configOf(), secretFile);
  assert.ok(!readFileSync(path.join(homeDir, MASTER_KEY_FILE), 'utf8').includes(first.keyId));
  await assert.rejects(
    operateCloud(configOf(), edges, () => Promise.resolve()),
    { code: 'kms_passphrase.missing' },
  );
  const done = await operateCloud(withSecret, edges, ({ keys }) => rotateKeys({ ...keys, settleMs: 0 }));
  assert.deepEqual([done.wasUnfinished, done.removedKeyIds], [false, [first.keyId]]);
  assert.equal(done.rewrappedSecrets, first.secrets);
  await cloud.stop();

  await assert.rejects(startCloud(configOf(), edges), { code: 'kms_passphrase.missing' });
  const again = await startCloud(withSecret, edges);
  afterwards(t, () => again.stop());
  assert.equal(again.api.installationId, cloud.api.installationId);
  await again.api.keys.signing();
  const [newest, ...more] = (await status()).keys;
  assert.deepEqual([newest!.secrets, more], [first.secrets, []]);
});
