import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { customKeySlot } from '@holdfast/archive/testing';
import { systemRandom } from '@holdfast/base';
import { startJobsRole, UNPROVED_ARCHIVES_METRIC } from '../../jobs-role.ts';
import { silentLog } from '../../platform/log.ts';
import { createMetrics } from '../../platform/metrics.ts';
import { makeWorld, startForFile } from '../../testing.ts';
import { countRottenSlots, tryEscrowSlots, tryNewEscrowSlots, type TryDeps } from './index.ts';
import { announced, askEscrow, escrowedDevice, rottenSlots, tryDepsOf } from '../../testing/slot-scene.ts';
import { newSlotBounds } from './try-new-slots.ts';

const { cluster, cloud } = await startForFile();
const never = new AbortController().signal;
const refused = 'storage.escrow_broken';
const HOUR_MS = 3_600_000;

async function rowsOf<Row>(statement: string, values: readonly unknown[]): Promise<readonly Row[]> {
  const { rows } = await cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);
  return rows as Row[];
}

/** How an archive stands: its newest keyring's outcome, whether it is unproved, and whether commits are refused. */
async function standingOf(archiveId: string) {
  const [row] = await rowsOf<{ outcome: string | null; unproved: boolean; refused: string | null }>(
    `select outcome, unproved_since is not null as unproved, refused_code as refused from escrow_standings where archive_id = $1`,
    [archiveId],
  );
  return row;
}

async function audited(tenantId: string, eventType: string): Promise<readonly string[]> {
  const rows = await rowsOf<{ id: string }>(
    `select entry::jsonb -> 'facts' ->> 'archiveId' as id from audit_entries
      where tenant_id = $1 and entry::jsonb ->> 'eventType' = $2`,
    [tenantId, eventType],
  );
  return rows.map(({ id }) => id);
}

async function waitingJobs(tenantId: string): Promise<number> {
  const [row] = await rowsOf<{ jobs: number }>(
    `select count(*)::int as jobs from jobs.job where name = 'escrow_tries/new' and group_id = $1`,
    [tenantId],
  );
  return row!.jobs;
}

const opens = { outcome: 'opens', unproved: false, refused: null };

test('several keyrings of an archive leave one job, and one try of the newest under one leaf', async () => {
  const world = await makeWorld(cloud, 'coalesced');
  const { tenantUid: tenantId } = world.tenant;
  const device = await escrowedDevice(world);
  assert.equal(await device.sendKeyring(device.rottenSlot()), 'stored');
  assert.equal(await device.sendKeyring(device.soundSlot()), 'stored');
  assert.equal(await waitingJobs(tenantId), 1);
  const { deps, said } = tryDepsOf(cloud);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual([await standingOf(device.archiveId), await announced(world), said], [opens, [1], []]);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await announced(world), [1], 'what was tried is not tried again');
  // The weekly run is one of its own.
  await tryEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await announced(world), [1, 1]);
});

test('a keyring without escrow leaves no job, and none is tried', async () => {
  const world = await makeWorld(cloud, 'own-key');
  const { tenantUid: tenantId } = world.tenant;
  const device = await escrowedDevice(world);
  await rowsOf(`delete from jobs.job where group_id = $1`, [tenantId]);
  assert.equal(await device.sendKeyring(customKeySlot(device.maker, systemRandom(32))), 'stored');
  assert.equal(await waitingJobs(tenantId), 0);
  const { deps } = tryDepsOf(cloud);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual([await announced(world), await standingOf(device.archiveId)], [[], undefined]);
  assert.equal(await device.sendKeyring(device.soundSlot()), 'stored');
  assert.equal(await waitingJobs(tenantId), 1);
});

for (const name of Object.keys(rottenSlots)) {
  test(`behind a slot with ${name} commits are refused once it was tried, and taken again once one opens`, async () => {
    const world = await makeWorld(cloud, `rotten-${Object.keys(rottenSlots).indexOf(name)}`);
    const { tenantUid: tenantId } = world.tenant;
    const [device, genuine] = [await escrowedDevice(world), await escrowedDevice(world)];
    const { deps } = tryDepsOf(cloud);
    assert.equal(await device.sendKeyring(device.rottenSlot(name)), 'stored');
    assert.equal(await device.commit(), 'stored', 'unproved is not refused');
    await tryNewEscrowSlots(deps, tenantId, never);
    const { outcome, refused: cause } = (await standingOf(device.archiveId))!;
    assert.deepEqual([outcome, /^(escrow|keystore)\./.test(String(cause))], [cause, true]);
    assert.deepEqual([await device.commit(), await genuine.commit()], [refused, 'stored']);
    assert.deepEqual(await standingOf(genuine.archiveId), opens);
    device.maker.store('block', systemRandom(1_000));
    assert.equal(await device.append(device.newestRecord()), 'stored', 'what is no commit is taken');
    assert.deepEqual(await audited(tenantId, 'escrow.slot_rotten'), [device.archiveId]);

    // Another one that nobody has tried yet does not let it out; one that was tried and opens does.
    assert.equal(await device.sendKeyring(device.soundSlot()), 'stored', 'keyrings are taken');
    assert.equal(await device.commit(), refused);
    await tryNewEscrowSlots(deps, tenantId, never);
    assert.deepEqual(await standingOf(device.archiveId), opens);
    assert.equal(await device.commit(), 'stored');
  });
}

test('the weekly run refuses and lets go again as the first try does', async () => {
  const world = await makeWorld(cloud, 'weekly');
  const { tenantUid: tenantId } = world.tenant;
  const device = await escrowedDevice(world);
  assert.equal(await device.sendKeyring(device.rottenSlot('the key of another slot')), 'stored');
  const { deps, clock } = tryDepsOf(cloud);
  const away: TryDeps = { ...deps, keystore: { ...deps.keystore, prove: () => Promise.reject(new Error('away')) } };
  await assert.rejects(tryNewEscrowSlots(away, tenantId, never), /away/);
  assert.equal(await device.commit(), 'stored');
  await tryEscrowSlots(deps, tenantId, never);
  assert.equal(await device.commit(), refused);
  assert.equal((await cloud.system.withoutTenant((tx) => countRottenSlots(tx))) > 0, true);
  assert.equal(await device.sendKeyring(device.soundSlot()), 'stored');
  clock.advance(7 * 24 * HOUR_MS);
  await tryNewEscrowSlots(away, tenantId, never).catch(() => undefined);
  await tryEscrowSlots(deps, tenantId, never);
  assert.equal(await device.commit(), 'stored');
});

test('nothing is refused where escrow is not asked for, or a key of the user\u2019s own stands in its place', async () => {
  const world = await makeWorld(cloud, 'not-asked');
  const { tenantUid: tenantId } = world.tenant;
  const [device, own] = [await escrowedDevice(world), await escrowedDevice(world)];
  await device.sendKeyring(device.rottenSlot());
  await own.sendKeyring(own.rottenSlot(), customKeySlot(own.maker, systemRandom(32)));
  const { deps } = tryDepsOf(cloud);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual([await device.commit(), await own.commit()], [refused, 'stored']);
  await askEscrow(world, 'off');
  assert.deepEqual([await device.commit(), await own.commit()], ['stored', 'stored']);
  await askEscrow(world, 'always');
  assert.deepEqual([await device.commit(), await own.commit()], [refused, refused]);
  // Escrow that is gone, since the user set a key of their own, is in the way of nothing but the next keyring.
  await askEscrow(world, 'required');
  assert.equal(await device.sendKeyring(customKeySlot(device.maker, systemRandom(32))), 'stored');
  await askEscrow(world, 'always');
  assert.equal(await device.commit(), 'stored');
});

test('one slot that opens is enough, and a keyring that storage has lost is an alert that refuses nothing', async () => {
  const world = await makeWorld(cloud, 'server-fault');
  const { tenantUid: tenantId } = world.tenant;
  const [two, lost] = [await escrowedDevice(world), await escrowedDevice(world)];
  await two.sendKeyring(two.rottenSlot(), two.soundSlot());
  await lost.sendKeyring(lost.rottenSlot());
  const readKeyring: TryDeps['readKeyring'] = (of, sha256) =>
    of.archiveId === lost.archiveId ? Promise.resolve(undefined) : cloud.storage.findKeyring(of, sha256);
  const { deps } = tryDepsOf(cloud, { readKeyring });
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await standingOf(two.archiveId), opens);
  const lostOne = { outcome: 'escrow_try.keyring_lost', unproved: true, refused: null };
  assert.deepEqual(await standingOf(lost.archiveId), lostOne);
  assert.deepEqual([await two.commit(), await lost.commit()], ['stored', 'stored']);
  // As it is in truth it is refused: the server's own fault hid that.
  const { deps: again, clock } = tryDepsOf(cloud);
  clock.advance(7 * 24 * HOUR_MS);
  await tryEscrowSlots(again, tenantId, never);
  assert.equal(await lost.commit(), refused);
});

test('while the keystore is away nothing is refused, and after a day it is said, once', async () => {
  const world = await makeWorld(cloud, 'away');
  const { tenantUid: tenantId } = world.tenant;
  const device = await escrowedDevice(world);
  const { deps, clock, said } = tryDepsOf(cloud);
  const away: TryDeps = { ...deps, keystore: { ...deps.keystore, prove: () => Promise.reject(new Error('away')) } };
  const look = () => assert.rejects(tryNewEscrowSlots(away, tenantId, never), /away/);
  const metrics = createMetrics();
  const { target } = cloud.testDatabase;
  const jobs = await startJobsRole({
    target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock,
    log: silentLog,
    metrics,
  });
  const counted = async () =>
    new RegExp(`^${UNPROVED_ARCHIVES_METRIC} (\\d+)$`, 'm').exec(await metrics.registry.metrics())?.[1];
  try {
    await look();
    assert.deepEqual(await standingOf(device.archiveId), { outcome: null, unproved: true, refused: null });
    clock.advance(23 * HOUR_MS);
    await look();
    assert.deepEqual([await audited(tenantId, 'escrow.slot_unproved'), said, await counted()], [[], [], '0']);
    // A newer keyring does not begin the day anew.
    assert.equal(await device.sendKeyring(device.soundSlot()), 'stored');
    clock.advance(2 * HOUR_MS);
    await look();
    await look();
    assert.deepEqual(await audited(tenantId, 'escrow.slot_unproved'), [device.archiveId]);
    assert.deepEqual([said.length, await counted()], [1, '1']);
    assert.equal(await device.commit(), 'stored');
    await tryNewEscrowSlots(deps, tenantId, never);
    assert.deepEqual([await standingOf(device.archiveId), await counted()], [opens, '0']);
    assert.deepEqual(await announced(world), [1, 1], 'the run that was cut off, and the newer keyring');
  } finally {
    await jobs.stop(0);
  }
});

test('an archive with ever new keyrings is tried some times an hour, and holds up no other', async () => {
  const world = await makeWorld(cloud, 'endless');
  const { tenantUid: tenantId } = world.tenant;
  const greedy = await escrowedDevice(world);
  const { deps, clock } = tryDepsOf(cloud);
  const { runsOfArchive } = newSlotBounds;
  for (let times = 0; times < runsOfArchive + 3; times++) {
    assert.equal(await greedy.sendKeyring(greedy.rottenSlot()), 'stored');
    await tryNewEscrowSlots(deps, tenantId, never);
  }
  assert.equal((await announced(world)).length, runsOfArchive);
  assert.equal(await greedy.commit(), refused, 'untried, and behind one that failed');
  const other = await escrowedDevice(world);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual([await standingOf(other.archiveId), (await announced(world)).length], [opens, runsOfArchive + 1]);
  clock.advance(HOUR_MS + 1);
  await greedy.sendKeyring(greedy.soundSlot());
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.equal(await greedy.commit(), 'stored');
});

test('a tenant has so many slots tried in an hour, and the rest in the next', async () => {
  const world = await makeWorld(cloud, 'bounded');
  const { tenantUid: tenantId } = world.tenant;
  const first = await escrowedDevice(world);
  const { deps, clock } = tryDepsOf(cloud);
  await tryNewEscrowSlots(deps, tenantId, never);
  // As though the hour had had its share already.
  await rowsOf(
    `insert into escrow_tries (tenant_id, run_id, place, archive_id, slot_id, keyring_sha256, outcome)
      select t.tenant_id, t.run_id, n, $3::uuid, t.slot_id, t.keyring_sha256, 'opens'
      from escrow_tries t, generate_series(1, $2) n where t.tenant_id = $1`,
    [tenantId, newSlotBounds.slotsOfTenant - 2, first.archiveId],
  );
  const [second, third] = [await escrowedDevice(world), await escrowedDevice(world)];
  await tryNewEscrowSlots(deps, tenantId, never);
  const outcomes = async () => {
    const [one, two] = [await standingOf(second.archiveId), await standingOf(third.archiveId)];
    return new Set([one?.outcome ?? null, two?.outcome ?? null]);
  };
  assert.deepEqual(await outcomes(), new Set([null, 'opens']));
  clock.advance(HOUR_MS + 1);
  await tryNewEscrowSlots(deps, tenantId, never);
  assert.deepEqual(await outcomes(), new Set(['opens']));
});

test('the jobs of the server try what has come within seconds, and look a second time', async (t) => {
  const world = await makeWorld(cloud, 'at-once');
  const { deps } = tryDepsOf(cloud);
  const { keystore, kms, installationId, readKeyring } = deps;
  const jobs = await startJobsRole({
    target: cloud.testDatabase.target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock: cloud.clock,
    log: silentLog,
    metrics: createMetrics(),
    escrow: { keystore, kms, installationId, readKeyring },
    pollSeconds: 0.5,
  });
  t.after(() => jobs.stop(0));
  const [genuine, rotten] = [await escrowedDevice(world), await escrowedDevice(world)];
  await rotten.sendKeyring(rotten.rottenSlot());
  const isDone = async () =>
    (await standingOf(genuine.archiveId))?.outcome === 'opens' && (await standingOf(rotten.archiveId))?.refused;
  for (let tries = 0; tries < 300 && !(await isDone()); tries++) await sleep(100);
  assert.ok(await isDone());
  assert.deepEqual([await genuine.commit(), await rotten.commit()], ['stored', refused]);
  const names = await rowsOf<{ second: string }>(
    `select data ->> 'isSecondLook' as second from jobs.job where name = 'escrow_tries/new' and group_id = $1`,
    [world.tenant.tenantUid],
  );
  assert.ok(
    names.some(({ second }) => second === 'true'),
    'a second look follows',
  );
});
