import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ArchiveMaker, escrowSlot } from '@holdfast/archive/testing';
import { formatUuid, manualClock, systemRandom } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { importHpkeKey, type EscrowTried } from '@holdfast/trust';
import { ROTTEN_SLOTS_METRIC, startJobsRole } from '../../jobs-role.ts';
import { createMetrics } from '../../platform/metrics.ts';
import { silentLog, type Log } from '../../platform/log.ts';
import { deviceProof, escrowKeysOf, makeWorld, sendAs, startForFile, type TenantWorld } from '../../testing.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';
import { makeDevice } from '../../testing/test-world.ts';
import { writeAudit } from '../audit/index.ts';
import { countRottenSlots, tryEscrowSlots, type TryDeps } from './index.ts';

const { cluster, cloud } = await startForFile();
const run = (statement: string, values: readonly unknown[] = []) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);

const WEEK_MS = 7 * 24 * 3_600_000;
const never = new AbortController().signal;
const strangeKey = () => Uint8Array.from(importHpkeKey(systemRandom(32)).publicKey);
const time = { seconds: 1_780_000_000, nanoseconds: 0 };

function depsOf(change: Partial<TryDeps> = {}) {
  const clock = manualClock(cloud.clock.now());
  const errors: object[] = [];
  const log: Log = { ...silentLog, error: (facts) => errors.push(facts) };
  const { keystore, kms } = cloud.bootstrap;
  const readKeyring = cloud.storage.findKeyring.bind(cloud.storage);
  const { installationId } = cloud.api;
  const deps: TryDeps = {
    writeAudit,
    database: cloud.system,
    kms,
    installationId,
    clock,
    keystore,
    readKeyring,
    log,
    ...change,
  };
  return { deps, clock, errors };
}

/** A tenant whose devices may have any slots. */
async function tenantOf(slug: string): Promise<TenantWorld> {
  const world = await makeWorld(cloud, slug);
  const own = { settings: { escrow: 'off' as const }, locked: [] };
  await cloud.clientOf(world.tenant).policies.put({ params: { orgGuid: world.rootOrgId }, body: { own, revision: 0 } });
  return world;
}

/** A device of a tenant with an archive, whose slots are sealed to these keys; as many keyrings as are named. */
async function addArchive(
  world: TenantWorld,
  keys: Partial<Awaited<ReturnType<typeof escrowKeysOf>>> = {},
  keyrings = 1,
) {
  const device = await makeDevice(world, world.member.userId);
  const own: TenantWorld = { ...world, device };
  const maker = new ArchiveMaker(systemRandom(8).toHex(), systemRandom(32));
  maker.addEpoch(time);
  maker.slots = [...maker.slots, escrowSlot(maker, { ...(await escrowKeysOf(world)), ...keys })];
  const proof = await deviceProof(own, 'storage');
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const archiveId = formatUuid(maker.archiveId);
  const body = { header: base64(maker.records[0]!.bytes), keyring: base64(maker.keyring(time).bytes) };
  const made = await sendAs(own, proof, { method: 'POST', path: storageRoutes.create.path, body });
  assert.equal(made.status, 201, made.text);
  for (let number = 1; number < keyrings; number++) {
    const path = storageRoutes.addKeyring.path.replace(':archiveId', archiveId);
    const added = await sendAs(own, proof, {
      method: 'POST',
      path,
      body: { keyring: base64(maker.keyring(time).bytes) },
    });
    assert.equal(added.status, 201, added.text);
  }
  return archiveId;
}

async function runsOf(world: TenantWorld): Promise<readonly EscrowTried[]> {
  const leaves = await leavesOf(world);
  return leaves.flatMap(({ leaf }) => (leaf.kind === 'escrow_tried' ? [leaf] : []));
}

/** What became of the slots of an archive in the newest run; null where it was not tried yet. */
async function outcomesOf(world: TenantWorld): Promise<Readonly<Record<string, string | null>>> {
  const { rows } = await run(
    `select archive_id, outcome from escrow_tries where tenant_id = $1 and run_id =
      (select run_id from escrow_runs where tenant_id = $1 order by begun_at desc limit 1)`,
    [world.tenant.tenantUid],
  );
  return Object.fromEntries(
    (rows as { archive_id: string; outcome: string | null }[]).map((row) => [row.archive_id, row.outcome]),
  );
}

test('once a week each escrow slot of every newest keyring is tried, under one leaf that says so before', async () => {
  const world = await tenantOf('weekly');
  const archives = [await addArchive(world), await addArchive(world, {}, 3), await addArchive(world)];
  const { tenantUid: tenantId } = world.tenant;
  const told: number[] = [];
  const { keystore } = cloud.bootstrap;
  const prove: TryDeps['keystore']['prove'] = async (asked) => {
    told.push((await runsOf(world)).length);
    return keystore.prove(asked);
  };
  const { deps, clock, errors } = depsOf({ keystore: { ...keystore, prove } });
  await tryEscrowSlots(deps, tenantId, never);
  const opens = Object.fromEntries(archives.map((archiveId) => [archiveId, 'opens']));
  assert.deepEqual(await outcomesOf(world), opens);
  assert.deepEqual([(await runsOf(world)).map(({ slots }) => slots), told, errors], [[3], [1], []]);
  clock.advance(WEEK_MS - 2 * 3_600_000);
  await tryEscrowSlots(deps, tenantId, never);
  assert.equal((await runsOf(world)).length, 1);
  const fourth = await addArchive(world);
  clock.advance(2 * 3_600_000);
  await tryEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await outcomesOf(world), { ...opens, [fourth]: 'opens' });
  assert.deepEqual(
    (await runsOf(world)).map(({ slots }) => slots),
    [3, 4],
  );
  assert.notEqual((await runsOf(world))[0]?.root, (await runsOf(world))[1]?.root);
});

test('a slot that does not open is an alert in the log, the audit log and the metrics, and keeps no other from being tried', async () => {
  const world = await tenantOf('rotten');
  const { tenantUid: tenantId } = world.tenant;
  const fine = await addArchive(world);
  const otherKeystore = await addArchive(world, { keystoreKey: strangeKey() });
  const otherLog = await addArchive(world, { logKey: strangeKey() });
  const lost = await addArchive(world);
  const last = await addArchive(world);
  const readKeyring: TryDeps['readKeyring'] = (of, sha256) =>
    of.archiveId === lost ? Promise.resolve(undefined) : cloud.storage.findKeyring(of, sha256);
  const { deps, errors, clock } = depsOf({ readKeyring });
  await tryEscrowSlots(deps, tenantId, never);
  const rotten = {
    [otherKeystore]: 'escrow.other_key',
    [otherLog]: 'escrow.other_key',
    [lost]: 'escrow_try.keyring_lost',
  };
  assert.deepEqual(await outcomesOf(world), { [fine]: 'opens', [last]: 'opens', ...rotten });
  const named = errors.map((facts) => Object.fromEntries(Object.entries(facts)) as { archiveId: string; code: string });
  assert.deepEqual(Object.fromEntries(named.map(({ archiveId, code }) => [archiveId, code])), rotten);
  const { rows } = await run(
    `select entry::jsonb as entry from audit_entries where tenant_id = $1 and entry::jsonb ->> 'eventType' = 'escrow.slot_rotten'`,
    [tenantId],
  );
  const entries = (rows as { entry: { outcome: string; facts: { archiveId: string; code: string } } }[]).map(
    ({ entry }) => entry,
  );
  assert.deepEqual(Object.fromEntries(entries.map(({ facts }) => [facts.archiveId, facts.code])), rotten);
  assert.ok(entries.every(({ outcome }) => outcome === 'failed'));
  const count = () => cloud.system.withoutTenant((tx) => countRottenSlots(tx));
  assert.equal(await count(), 3);
  // What was lost is found again: the next run says so.
  clock.advance(WEEK_MS);
  await tryEscrowSlots({ ...deps, readKeyring: cloud.storage.findKeyring.bind(cloud.storage) }, tenantId, never);
  assert.equal(await count(), 2);
});

test('a run that is cut off, or whose keystore is away, goes on under its leaf, and calls no slot rotten', async () => {
  const world = await tenantOf('cut-off');
  const { tenantUid: tenantId } = world.tenant;
  const archives = [await addArchive(world), await addArchive(world)];
  const { keystore } = cloud.bootstrap;
  const away = { ...keystore, prove: () => Promise.reject(new Error('away')) };
  const { deps, errors } = depsOf();
  await assert.rejects(tryEscrowSlots({ ...deps, keystore: away }, tenantId, never), /away/);
  await tryEscrowSlots(deps, tenantId, AbortSignal.abort());
  assert.deepEqual(await outcomesOf(world), Object.fromEntries(archives.map((archiveId) => [archiveId, null])));
  await tryEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await outcomesOf(world), Object.fromEntries(archives.map((archiveId) => [archiveId, 'opens'])));
  assert.deepEqual([(await runsOf(world)).length, errors], [1, []]);
});

test('the schedule has the slots of every tenant tried, and its key log shown to the keystore', async (t) => {
  const worlds = [await tenantOf('scheduled'), await tenantOf('scheduled-too')];
  const archives = [await addArchive(worlds[0]!), await addArchive(worlds[1]!)];
  await run(`insert into jobs.job (name, data) values ('escrow_tries/everywhere', '{}')`);
  const { deps } = depsOf();
  const metrics = createMetrics();
  const { keystore, kms, installationId, readKeyring } = deps;
  const jobs = await startJobsRole({
    target: cloud.testDatabase.target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock: cloud.clock,
    log: silentLog,
    metrics,
    escrow: { keystore, kms, installationId, readKeyring },
    pollSeconds: 0.5,
  });
  t.after(() => jobs.stop(0));
  const outcomes = async () => (await Promise.all(worlds.map(outcomesOf))).map((each) => Object.values(each).join(' '));
  for (let tries = 0; tries < 200 && (await outcomes()).some((one) => one !== 'opens'); tries++) await sleep(100);
  assert.deepEqual(
    await Promise.all(worlds.map(outcomesOf)),
    archives.map((archiveId) => ({ [archiveId]: 'opens' })),
  );
  for (const { tenant } of worlds) assert.ok((await keystore.followed({ tenantUid: tenant.tenantUid })).treeSize > 0);
  assert.match(await metrics.registry.metrics(), new RegExp(`^${ROTTEN_SLOTS_METRIC} 2$`, 'm'));
});
