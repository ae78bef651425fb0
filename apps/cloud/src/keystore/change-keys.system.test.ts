import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { systemClock } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { operateCloud, startCloud, type Cloud, type Operator } from '../app.ts';
import { readCloudConfig, type CloudConfig } from '../config.ts';
import { makeLogKey } from '../modules/logs/index.ts';
import { silentLog } from '../platform/log.ts';
import type { Rows } from '../platform/table.ts';
import { readKeysStatus, rotateKeys } from '../rotate-keys.ts';
import { startFakeAws, startFakeVault, type KeyService } from '../testing/key-services.ts';
import { makeSoftToken, noSoftToken, type SoftToken } from '../testing/soft-token.ts';
import type { tables } from './store.ts';

let soft: SoftToken;
let aws: KeyService;
let vault: KeyService;
before(async () => {
  soft = await makeSoftToken();
  process.env['SOFTHSM2_CONF'] = soft.configFile;
  const awsService = await startFakeAws();
  Object.assign(process.env, awsService.environment);
  [aws, vault] = [awsService, await startFakeVault()];
});
after(async () => {
  await soft.remove();
  for (const service of [aws, vault]) await service.stop();
});

const edges = { log: silentLog };

function configWith(t: TestContext, environment: Readonly<Record<string, string>>): CloudConfig {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast keys '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  const home = { HOLDFAST_HOME: path.join(folder, 'home'), HOLDFAST_LISTEN: '127.0.0.1:0' };
  return readCloudConfig({ ...home, ...environment });
}

function tokenSettings(): Readonly<Record<string, string>> {
  const pinFile = path.join(soft.folder, 'pin');
  writeFileSync(pinFile, soft.pin, { mode: 0o600 });
  const { modulePath, tokenLabel } = soft.place;
  return {
    HOLDFAST_KMS: `pkcs11:token=${encodeURIComponent(tokenLabel)}?module-path=${modulePath}`,
    HOLDFAST_KMS_SECRET_FILE: pinFile,
    SOFTHSM2_CONF: soft.configFile,
  };
}

/** Has the keystore make and wrap the keys of a tenant that no table of the others knows. */
async function makeTenantKeys({ bootstrap, keystore, api }: Cloud): Promise<void> {
  const tenantUid = crypto.randomUUID();
  const { verifier } = await makeLogKey(bootstrap.kms, api.installationId, tenantUid);
  await keystore.client.makeTenantKeys({ tenantUid, logVerifier: verifier });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('in vain waited for the keystore');
    await systemClock.sleep(50);
  }
}

/** The keys that wrap what the keystore keeps, each once, and how many rows that is. */
async function keysOfKeystore({ owner }: Operator['keys']) {
  const rows = await owner.withoutTenant((tx) =>
    tx.withTables<Rows<typeof tables>>().selectFrom('keystore.tenant_keys').selectAll().execute(),
  );
  const wrapped = rows.flatMap((row) => [row.wrapped_sealing_key, row.wrapped_signing_key]);
  return { rows: rows.length, keyIds: [...new Set(wrapped.map((text) => text.split('.')[1]))] };
}

for (const [name, settings, skip] of [
  ['a key file', () => ({}), false],
  ['a token (SoftHSM2)', tokenSettings, noSoftToken],
  ['AWS KMS (a fake of it)', () => aws.settings, false],
  ['Vault (a fake of it)', () => vault.settings, false],
] as const)
  test(
    `a keystore that runs goes on while keys in ${name} are changed, and is started again with the new ones`,
    { skip },
    async (t) => {
      const config = configWith(t, settings());
      const cloud = await startCloud(config, edges);
      afterwards(t, () => cloud.stop());
      const pid = cloud.keystore.process.pid();
      const stop = new AbortController();
      const counts = { done: 0, failed: [] as unknown[] };
      const load = async () => {
        while (!stop.signal.aborted && counts.failed.length < 5) {
          await makeTenantKeys(cloud).then(
            () => counts.done++,
            (error: unknown) => counts.failed.push(error),
          );
          await systemClock.sleep(10);
        }
      };
      const loads = [load(), load()];
      const rotate = () => operateCloud(config, edges, ({ keys }) => rotateKeys({ ...keys, settleMs: 1_500 }));
      const removed = [...(await rotate()).removedKeyIds, ...(await rotate()).removedKeyIds];
      stop.abort();
      await Promise.all(loads);
      t.diagnostic(`${counts.done} pairs of keys made, ${counts.failed.length} failed`);
      assert.deepEqual(counts.failed, []);
      assert.ok(counts.done > 5);
      assert.equal(cloud.keystore.process.pid(), pid, 'it was not started again');
      const newest = async () => {
        const { status, kept } = await operateCloud(config, edges, async ({ keys }) => ({
          status: await readKeysStatus(keys),
          kept: await keysOfKeystore(keys),
        }));
        const [key] = status.keys.filter(({ role }) => role === null || role === 'keystore');
        assert.deepEqual(kept.keyIds, [key!.keyId]);
        assert.ok(!removed.includes(key!.keyId));
        return kept;
      };
      const before = await newest();
      assert.ok(before.rows >= counts.done);
      process.kill(pid!, 'SIGKILL');
      await until(
        async () => (await cloud.keystore.client.checkReadiness()) === 'ok' && cloud.keystore.process.pid() !== pid,
      );
      await makeTenantKeys(cloud);
      assert.notEqual(cloud.keystore.process.pid(), pid);
      assert.equal((await newest()).rows, before.rows + 1);
    },
  );
