import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { systemClock, systemRandom, type Clock } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { followAccess } from './keystore/follow-access.ts';
import { tenantKeyPurposes } from './keystore/make-tenant-keys.ts';
import type { Keystore } from './keystore/operations.ts';
import type { tables as keystoreTables } from './keystore/store.ts';
import { logSealingKeyPurpose, type escrowTables } from './modules/escrow/index.ts';
import { makeLogKey } from './modules/logs/index.ts';
import { openReceiptSigner } from './modules/storage/index.ts';
import { createNonces, createSigningKeys } from './modules/tokens/index.ts';
import type { Kms, KmsProvider } from './platform/kms.ts';
import { openAwsKms } from './platform/kms-aws.ts';
import { openKeyFileKms } from './platform/kms-file.ts';
import { openTokenKms } from './platform/kms-pkcs11.ts';
import { openVaultKms } from './platform/kms-vault.ts';
import { silentLog } from './platform/log.ts';
import type { Rows } from './platform/table.ts';
import { readKeysStatus, recordRotation, rotateKeys, type RotateDeps } from './rotate-keys.ts';
import { startFakeAws, startFakeVault } from './testing/key-services.ts';
import { localKeystore } from './testing/local-keystore.ts';
import { makeSoftToken, noSoftToken, type SoftToken } from './testing/soft-token.ts';
import { startTestCloud, type TestCloud } from './testing/test-cloud.ts';
import { startTestCluster, type TestCluster } from './testing/test-cluster.ts';
import { wrappedColumns } from './wrapped-columns.ts';

let cluster: TestCluster;
let soft: SoftToken;
let aws: Awaited<ReturnType<typeof startFakeAws>>;
let vault: Awaited<ReturnType<typeof startFakeVault>>;
before(async () => {
  [aws, vault] = [await startFakeAws(), await startFakeVault()];
  Object.assign(process.env, aws.environment);
  cluster = await startTestCluster();
  soft = await makeSoftToken();
  process.env['SOFTHSM2_CONF'] = soft.configFile;
});
after(async () => {
  await cluster.stop();
  await soft.remove();
  for (const service of [aws, vault]) await service.stop();
});

type OpenKms = (homeDir: string) => Promise<KmsProvider>;
const openFile: OpenKms = (homeDir) => openKeyFileKms(path.join(homeDir, 'master-keys.json'), { nowMs: 0 });
const openToken: OpenKms = (homeDir) => openTokenKms(path.join(homeDir, 'token-keys.json'), soft.place);
const openAws: OpenKms = (homeDir) => {
  const { region, endpoint } = aws.fake;
  return openAwsKms(path.join(homeDir, 'aws-keys.json'), { region, endpoint, profile: 'holdfast-{role}' });
};
const openVault: OpenKms = (homeDir) =>
  openVaultKms(path.join(homeDir, 'vault-keys.json'), {
    address: vault.fake.address,
    mount: 'transit',
    namespace: null,
    ca: null,
    readToken: (role) => Promise.resolve(new TextEncoder().encode(`hvs.${role}`)),
  });

/** A server, with connections of logins that it keeps to itself. */
type Used = TestCloud & { readonly ofStorage: TestCloud['database']; readonly ofKeystore: TestCloud['database'] };
type World = { readonly cloud: Used; readonly openKms: () => Promise<KmsProvider>; readonly deps: RotateDeps };

/** A server with tenants, and an operator whose keys are opened apart from its own. */
async function makeWorld(t: TestContext, open: OpenKms = openFile): Promise<World> {
  const server = await startTestCloud(cluster, { openKms: open });
  const [ofStorage, ofKeystore] = (['hf_storage', 'hf_keystore'] as const).map((login) =>
    server.testDatabase.open(login),
  );
  const cloud = { ...server, ofStorage: ofStorage!, ofKeystore: ofKeystore! };
  afterwards(t, () => cloud.stop());
  const opened: KmsProvider[] = [cloud.kms];
  const openKms = async () => {
    const kms = await open(cloud.homeDir);
    opened.push(kms);
    return kms;
  };
  for (const slug of ['one', 'two']) await cloud.addTenant(slug);
  await useEverything(cloud, cloud.kms);
  const owner = cloud.testDatabase.open('hf_migrate');
  const about = { owner, clock: systemClock, log: silentLog, settleMs: 0 };
  afterwards(t, () => Promise.all(opened.map((kms) => kms.close())));
  return { cloud, openKms, deps: { ...about, provider: await openKms(), record: () => Promise.resolve() } };
}

/** Makes and opens a secret of every kind that the server has. */
async function useEverything(cloud: Used, kms: KmsProvider, inKeystore = kms.forRole('keystore')): Promise<void> {
  const { database: ofApi, ofStorage, system, clock } = cloud;
  await createSigningKeys({ database: ofApi, kms: kms.forRole('api'), clock }).signing();
  await openReceiptSigner({ database: ofStorage, kms: kms.forRole('storage'), clock });
  await createNonces({ database: ofApi, kms: kms.forRole('api'), clock }).make();
  await createNonces({ database: ofStorage, kms: kms.forRole('storage'), clock }).make();
  // At once, as what reads a secret to open it does: one after the other, the last were opened long after they were read.
  const opened = (await logKeys(system)).map(({ tenant_id: tenantId, wrapped_private_key: wrapped }) =>
    kms.forRole('api').unwrap(wrapped, { purpose: 'log-key', tenantId }),
  );
  await Promise.all(opened);
  await useEscrowKeys(cloud, kms, inKeystore);
}

/** Opens both halves of the escrow keys of all tenants: the role api its own, the keystore its own. */
async function useEscrowKeys({ system, ofKeystore }: Used, kms: KmsProvider, inKeystore: Kms): Promise<void> {
  const ofApi = await system.withoutTenant((tx) =>
    tx.withTables<Rows<typeof escrowTables>>().selectFrom('escrow_keys').selectAll().execute(),
  );
  assert.ok(ofApi.length >= 2);
  for (const { tenant_id: tenantId, wrapped_log_sealing_key: wrapped } of ofApi) {
    assert.equal((await kms.forRole('api').unwrap(wrapped, { purpose: logSealingKeyPurpose, tenantId })).length, 32);
    const kept = await ofKeystore.withTenant(tenantId, (tx) =>
      tx.withTables<Rows<typeof keystoreTables>>().selectFrom('keystore.tenant_keys').selectAll().execute(),
    );
    assert.equal(kept.length, 1);
    for (const row of kept) {
      const [sealing, signing] = [row.wrapped_sealing_key, row.wrapped_signing_key];
      await inKeystore.unwrap(sealing, { purpose: tenantKeyPurposes.sealing, tenantId });
      await inKeystore.unwrap(signing, { purpose: tenantKeyPurposes.signing, tenantId });
    }
  }
}

/** The keystore as its own process opens its keys: told once, and asking when they change. */
async function keystoreOf({ cloud }: World): Promise<{ readonly kms: Kms; readonly keystore: Keystore }> {
  const ask = () => cloud.kms.accessFor('keystore');
  const kms = await followAccess(await ask(), ask, systemRandom);
  const { installationId } = cloud.api;
  return { kms, keystore: localKeystore({ installationId, database: cloud.ofKeystore, kms, clock: systemClock }) };
}

/** Makes keys of a tenant that no table of the others knows. */
async function makeTenantKeys({ cloud }: World, keystore: Keystore): Promise<void> {
  const { installationId } = cloud.api;
  const tenantUid = crypto.randomUUID();
  const { verifier } = await makeLogKey(cloud.kms.forRole('api'), installationId, tenantUid);
  await keystore.makeTenantKeys({ tenantUid, logVerifier: verifier });
}

type LogKeyRow = { tenant_id: string; verifier: string; wrapped_private_key: string; created_at: Date };

function logKeys(database: TestCloud['system']): Promise<readonly LogKeyRow[]> {
  return database.withoutTenant((tx) =>
    tx.withTables<{ log_keys: LogKeyRow }>().selectFrom('log_keys').selectAll().execute(),
  );
}

/** Adds a log key as the running server does, wrapped whenever it was. */
async function insertLogKey({ cloud }: World, wrapped: string): Promise<void> {
  const { installationId: tenantId } = cloud.api;
  const verifier = `late ${crypto.randomUUID()}`;
  await cloud.system.withTenant(tenantId, (tx) =>
    tx
      .withTables<{ log_keys: LogKeyRow }>()
      .insertInto('log_keys')
      .values({ tenant_id: tenantId, verifier, wrapped_private_key: wrapped, created_at: new Date() })
      .execute(),
  );
}

async function wrapLogKey({ cloud }: World, kms: KmsProvider): Promise<string> {
  const { installationId } = cloud.api;
  return (await makeLogKey(kms.forRole('api'), installationId, installationId)).wrappedPrivateKey;
}

test('every column of wrapped secrets is listed, and guarded against retired keys', async (t) => {
  const { deps } = await makeWorld(t);
  const { owner: database } = deps;
  type Found = { table_schema: string; table_name: string; column_name: string };
  const found = await database.withoutTenant((tx) =>
    tx
      .withTables<{ 'information_schema.columns': Found }>()
      .selectFrom('information_schema.columns')
      .select(['table_schema', 'table_name', 'column_name'])
      .where('column_name', 'like', 'wrapped%')
      .execute(),
  );
  const nameOf = (schema: string, table: string) => (schema === 'public' ? table : `${schema}.${table}`);
  const listed = wrappedColumns.map(({ table, column }) => `${table} ${column}`).toSorted();
  assert.deepEqual(
    found.map((each) => `${nameOf(each.table_schema, each.table_name)} ${each.column_name}`).toSorted(),
    listed,
  );
  type Trigger = {
    event_object_schema: string;
    event_object_table: string;
    trigger_name: string;
    event_manipulation: string;
  };
  const triggers = await database.withoutTenant((tx) =>
    tx
      .withTables<{ 'information_schema.triggers': Trigger }>()
      .selectFrom('information_schema.triggers')
      .selectAll()
      .where('trigger_name', 'like', 'guard_wrapped%')
      .execute(),
  );
  const guarded = triggers.map(
    (each) =>
      `${nameOf(each.event_object_schema, each.event_object_table)} ${each.trigger_name.replace('guard_', '')} ${each.event_manipulation}`,
  );
  assert.deepEqual(
    guarded.toSorted(),
    listed.flatMap((each) => [`${each} INSERT`, `${each} UPDATE`]),
  );
});

for (const [name, open, skip] of [
  ['a key file', openFile, false],
  ['a token (SoftHSM2)', openToken, noSoftToken],
  ['AWS KMS (a fake of it)', openAws, false],
  ['Vault (a fake of it)', openVault, false],
] as const)
  test(
    `keys in ${name} are changed under load: nothing fails, and everything opens with the new ones alone`,
    { skip },
    async (t) => {
      const world = await makeWorld(t, open);
      const { cloud, openKms } = world;
      const stop = new AbortController();
      const counts = { done: 0, failed: [] as unknown[] };
      const load = async (work: () => Promise<unknown>) => {
        while (!stop.signal.aborted && counts.failed.length < 10) {
          await work().then(
            () => counts.done++,
            (error: unknown) => counts.failed.push(error),
          );
          await systemClock.sleep(25);
        }
      };
      const { kms: inKeystore, keystore } = await keystoreOf(world);
      const loads = [
        load(() => useEverything(cloud, cloud.kms, inKeystore)),
        load(() => makeTenantKeys(world, keystore)),
        load(async () => insertLogKey(world, await wrapLogKey(world, cloud.kms))),
      ];
      const rotations = [];
      for (let round = 0; round < 3; round++) rotations.push(await rotateKeys({ ...world.deps, settleMs: 1_000 }));
      stop.abort();
      await Promise.all(loads);
      t.diagnostic(`${counts.done} operations, ${counts.failed.length} failed`);
      assert.deepEqual(counts.failed, []);
      assert.ok(counts.done > 10);
      assert.ok(
        rotations.every(({ rewrappedSecrets, removedKeyIds }) => rewrappedSecrets > 5 && removedKeyIds.length > 0),
      );
      const fresh = await openKms();
      await useEverything(cloud, fresh);
      const status = await readKeysStatus({ ...world.deps, provider: fresh });
      assert.equal(status.isUnfinished, false);
      assert.ok(status.keys.every(({ wraps }) => wraps));
      const removed = rotations.flatMap(({ removedKeyIds }) => removedKeyIds);
      assert.ok(status.keys.every(({ keyId }) => !removed.includes(keyId)));
      for (const row of await logKeys(cloud.system))
        assert.ok(!removed.some((keyId) => row.wrapped_private_key.includes(keyId)));
      assert.deepEqual(cloud.faults, []);
    },
  );

test('a change of keys that was interrupted anywhere goes on when it is run again', async (t) => {
  const stopAt = (calls: number): ((of: KmsProvider) => KmsProvider) => {
    let left = calls;
    const step = <A extends readonly unknown[], R>(work: (...values: A) => Promise<R>) => {
      return async (...values: A): Promise<R> => {
        if (left-- === 0) throw new Error('interrupted');
        return work(...values);
      };
    };
    return (of) => ({
      ...of,
      forRole: (role) => {
        const kms = of.forRole(role);
        return { ...kms, wrap: step((secret, context) => kms.wrap(secret, context)) };
      },
      addKeys: step(() => of.addKeys()),
      rewrapOwn: step(() => of.rewrapOwn()),
      removeKeys: step((keyIds) => of.removeKeys(keyIds)),
    });
  };
  const { cloud, deps, openKms } = await makeWorld(t);
  for (let calls = 0; calls < 12; calls += 1) {
    const before = await readKeysStatus(deps);
    const interrupted = stopAt(calls)(await openKms());
    const failed = await rotateKeys({ ...deps, provider: interrupted }).catch(() => undefined);
    await useEverything(cloud, cloud.kms);
    await useEverything(cloud, await openKms());
    const between = await readKeysStatus(deps);
    assert.equal(between.isUnfinished, failed === undefined && calls > 0, `after ${calls}`);
    const done = await rotateKeys(deps);
    assert.equal(done.wasUnfinished, between.isUnfinished);
    const status = await readKeysStatus(deps);
    assert.deepEqual([status.keys.length, status.isUnfinished], [1, false]);
    assert.notEqual(status.keys[0]!.keyId, before.keys[0]!.keyId);
    await useEverything(cloud, await openKms());
  }
});

test('a secret that is stored late is wrapped anew, and one that names a retired key is not stored', async (t) => {
  const world = await makeWorld(t);
  const { deps, cloud } = world;
  const late = [await wrapLogKey(world, cloud.kms), await wrapLogKey(world, cloud.kms)];
  const clock: Clock = { ...systemClock, now: () => systemClock.now(), sleep: () => insertLogKey(world, late[0]!) };
  await rotateKeys({ ...deps, clock });
  await useEverything(cloud, await world.openKms());
  await assert.rejects(insertLogKey(world, late[1]!), /wrapped with a retired key/);
  await insertLogKey(world, await wrapLogKey(world, cloud.kms));
});

test('as long as one secret does not open, no key is removed; all others are wrapped anew', async (t) => {
  const world = await makeWorld(t);
  const { deps, cloud } = world;
  const [before] = (await readKeysStatus(deps)).keys;
  const wrapped = await wrapLogKey(world, cloud.kms);
  const broken = wrapped.slice(0, -2) + (wrapped.endsWith('AA') ? 'BB' : 'AA');
  await insertLogKey(world, broken);
  await assert.rejects(rotateKeys(deps), { code: 'kms_change.incomplete', details: { left: { log_keys: 1 } } });
  const { keys, isUnfinished } = await readKeysStatus(deps);
  assert.equal(isUnfinished, true);
  assert.deepEqual([keys.length, keys[0]!.keyId, keys[0]!.secrets], [2, before!.keyId, 1]);
  assert.ok(keys[1]!.secrets > 5);
  await cluster.asSuperuser(cloud.testDatabase.target.database, 'delete from log_keys where wrapped_private_key = $1', [
    broken,
  ]);
  assert.equal((await rotateKeys(deps)).wasUnfinished, true);
  await useEverything(cloud, await world.openKms());
});

test('a change of keys stands in the log of the installation, with the ids of the keys that were removed', async (t) => {
  const { deps, cloud } = await makeWorld(t);
  const { installationId } = cloud.api;
  const record: RotateDeps['record'] = (done) =>
    recordRotation({ system: cloud.system, kms: cloud.kms.forRole('api'), clock: cloud.clock }, installationId, done);
  const { removedKeyIds } = await rotateKeys({ ...deps, record });
  type Entry = { tenant_id: string; entry: string; event_type: string };
  const entries = await cloud.system.withTenant(installationId, (tx) =>
    tx
      .withTables<{ audit_entries: Entry }>()
      .selectFrom('audit_entries')
      .select('entry')
      .where('event_type', '=', 'master_keys.rotated')
      .execute(),
  );
  assert.equal(entries.length, 1);
  for (const keyId of removedKeyIds) assert.ok(entries[0]!.entry.includes(keyId));
});
