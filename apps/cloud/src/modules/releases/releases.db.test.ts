import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock, type Clock } from '@holdfast/base';
import { defaultReleaseRules, parseReleaseRequest, releaseRequestSha256, type KeyLogLeaf } from '@holdfast/trust';
import { sql } from 'kysely';
import {
  approveAs,
  callOf,
  changeRulesAs,
  exampleArchive,
  makePerson,
  releaseDevice,
  releasesOf,
  requestOf,
  rulesOf,
  startTestCloud,
  startTestCluster,
  stateOwner,
  takeAs,
  vouchFor,
  makeWorld,
  type TestCloud,
  type TestCluster,
  type TenantWorld,
} from '../../testing.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';
import { bringKeystore } from '../keylog/index.ts';

const HOUR_MS = 3_600_000;
let cluster: TestCluster;
let cloud: TestCloud;
let clock: Clock & { advance(ms: number): void };
let worlds = 0;

before(async () => {
  cluster = await startTestCluster();
  let aheadMs = 0;
  clock = { ...systemClock, now: () => systemClock.now() + aheadMs, advance: (ms) => void (aheadMs += ms) };
  cloud = await startTestCloud(cluster, { clock });
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

/** A tenant whose first key is that of a person who may approve, with its archive. */
async function makeTenant() {
  const world = await makeWorld(cloud, `tenant-${(worlds += 1)}`);
  const first = await makePerson(world, 'first', true);
  const device = await releaseDevice(world);
  const { archiveId } = await exampleArchive(world);
  return { world, first, device, archiveId };
}

const refusals = (leaves: readonly { leaf: KeyLogLeaf }[]) =>
  leaves.flatMap(({ leaf }) => (leaf.kind === 'release_refused' ? [leaf.code] : []));

async function logged(world: TenantWorld, archiveId?: string) {
  return leavesOf(world, archiveId);
}

/** The requests that the keystore has granted. */
async function usedOf({ tenant: { tenantUid } }: TenantWorld): Promise<readonly string[]> {
  const keystore = cloud.testDatabase.open('hf_keystore');
  const { rows } = await keystore.withTenant(tenantUid, (tx) =>
    sql<{ id: string }>`select request_id as id from keystore.used_requests`.execute(
      tx.withTables<Record<string, never>>(),
    ),
  );
  return rows.map(({ id }) => id);
}

const idOf = ({ text }: { readonly text: string }) => parseReleaseRequest(text).requestId;

/** Shows the keystore what is new, as the server does every half minute. */
async function follow(world: TenantWorld): Promise<void> {
  const { database, kms, bootstrap } = cloud;
  const { installationId } = cloud.api;
  const deps = { database, kms: kms.forRole('api'), installationId, clock, keystore: bootstrap.keystore };
  await bringKeystore(deps, world.tenant.tenantUid);
}

const refusedFor = (reason: string) => (error: { code?: string; details?: { reason?: string } }) => {
  assert.deepEqual([error.code, error.details?.reason], ['releases.refused', reason]);
  return true;
};

test('a request that is approved is a leaf, and opens the epochs asked for to its requester alone', async () => {
  const { world, first, archiveId } = await makeTenant();
  const asker = await makePerson(world, 'asker');
  await vouchFor(first, asker);
  const request = await requestOf(asker, { epochs: [0] });
  const requestSha256 = releaseRequestSha256(request.text);
  const asked = await releasesOf(world).request({ body: { request } });
  assert.deepEqual([asked.state, asked.purpose, asked.approvalsNeeded], ['asked', 'admin_restore', 1]);
  await assert.rejects(takeAs(asker, request), { code: 'releases.waiting' });
  assert.equal((await logged(world, archiveId)).filter(({ leaf }) => leaf.kind === 'release').length, 0);
  const approved = await approveAs(first, request);
  assert.equal(approved.state, 'granted');
  const { opened, taken } = await takeAs(asker, request);
  assert.equal(opened.keys.scope, 'read');
  assert.deepEqual(opened.keys.scope === 'read' && opened.keys.epochs.map(({ epoch }) => epoch), [0]);
  const leaves = await logged(world, archiveId);
  const leaf = leaves.find(({ logIndex }) => logIndex === taken.leaf.logIndex)?.leaf;
  assert.equal(leaf?.kind === 'release' && leaf.request.text, request.text);
  const other = await makePerson(world, 'other');
  const about = { call: callOf(other, 'take', requestSha256) };
  await assert.rejects(releasesOf(world).take({ body: about }), { code: 'releases.not_requester' });
  // The same again changes nothing.
  const again = await releasesOf(world).request({ body: { request } });
  assert.equal(again.state, 'granted');
  assert.equal((await logged(world, archiveId)).length, leaves.length);
});

test('a device asks for its own archive without approvals once the writer has said whose it is, and else needs one', async () => {
  const { world, first, device } = await makeTenant();
  await vouchFor(first, device);
  const foreign = await requestOf(device);
  assert.equal((await releasesOf(world).request({ body: { request: foreign } })).purpose, 'admin_restore');
  await stateOwner(device);
  const request = await requestOf(device);
  const state = await releasesOf(world).request({ body: { request } });
  assert.deepEqual([state.purpose, state.state], ['own_restore', 'granted']);
  assert.equal((await takeAs(device, request)).opened.keys.scope, 'read');
});

test('each refusal is a leaf about the archive, and its genuine neighbour is taken', async () => {
  const { world, first, archiveId } = await makeTenant();
  const young = await makePerson(world, 'young', true);
  const asker = await makePerson(world, 'asker', true);
  await vouchFor(first, asker);
  const ask = async (change: Parameters<typeof requestOf>[1], by = asker) =>
    releasesOf(world).request({ body: { request: await requestOf(by, change) } });
  const wrong: readonly (readonly [() => Promise<unknown>, string, () => Promise<unknown>])[] = [
    [() => ask({}, young), 'keystore.young_key', () => ask({})],
    [
      () => ask({ expiresAt: new Date(clock.now() - 1).toISOString() }),
      'keystore.expired',
      () => ask({ expiresAt: new Date(clock.now() + HOUR_MS).toISOString() }),
    ],
    [
      () => ask({ expiresAt: new Date(clock.now() + 61 * 24 * HOUR_MS).toISOString() }),
      'keystore.expires_late',
      () => ask({ expiresAt: new Date(clock.now() + 59 * 24 * HOUR_MS).toISOString() }),
    ],
    [() => ask({ keyringSha256: 'ab'.repeat(32) }), 'keystore.other_keyring', () => ask({})],
    [() => ask({ slotId: 'ab'.repeat(16) }), 'keystore.no_escrow_slot', () => ask({ scope: 'ring' })],
  ];
  for (const [refuse, code, accept] of wrong) {
    const before = refusals(await logged(world, archiveId)).length;
    await assert.rejects(refuse(), refusedFor(code));
    const after = refusals(await logged(world, archiveId));
    assert.deepEqual(after.slice(before), [code]);
    await accept();
    assert.equal(refusals(await logged(world, archiveId)).length, after.length, `${code}: the neighbour`);
  }
  const open = await requestOf(asker);
  await releasesOf(world).request({ body: { request: open } });
  const approvals: readonly (readonly [typeof asker, string])[] = [
    [asker, 'keystore.self_approval'],
    [young, 'keystore.young_approver'],
    [await makePerson(world, 'no approver'), 'keystore.unregistered_approver'],
  ];
  for (const [by, code] of approvals) {
    await assert.rejects(approveAs(by, open), refusedFor(code));
    assert.equal(refusals(await logged(world, archiveId)).at(-1), code);
  }
  assert.equal((await approveAs(first, open)).state, 'granted');
  const about = refusals(await logged(world));
  assert.equal(about.length, wrong.length + approvals.length);
});

test('what no registered key signed, and another tenant, change nothing and leave no leaf', async () => {
  const { world, first, archiveId } = await makeTenant();
  const stranger = await makeTenant();
  const asker = await makePerson(world, 'asker');
  await vouchFor(first, asker);
  const request = await requestOf(asker);
  await releasesOf(world).request({ body: { request } });
  const before = await logged(world);
  const elsewhere = { ...stranger.first, world };
  const unknown = { code: 'releases.unknown_key' };
  await assert.rejects(
    requestOf(elsewhere).then((one) => releasesOf(world).request({ body: { request: one } })),
    unknown,
  );
  await assert.rejects(approveAs(elsewhere, request), unknown);
  const forged = { ...request, signature: (await requestOf(asker)).signature };
  await assert.rejects(releasesOf(world).request({ body: { request: forged } }), unknown);
  for (const name of ['list', 'take', 'refuse', 'archive', 'rules'] as const) {
    const about = name === 'archive' ? archiveId : releaseRequestSha256(request.text);
    const call = callOf(elsewhere, name, about);
    await assert.rejects(releasesOf(world)[name]({ body: { call } }), unknown, name);
  }
  // In its own tenant its person is somebody, and the other's archive and request are not there.
  const { releases } = await releasesOf(world).list({ body: { call: callOf(stranger.first, 'list') } });
  assert.deepEqual(releases, []);
  const theirs = { call: callOf(stranger.first, 'archive', archiveId) };
  await assert.rejects(releasesOf(world).archive({ body: theirs }), { code: 'releases.archive_not_found' });
  assert.deepEqual(await logged(world), before);
  // The owner is shown all of it.
  const own = await releasesOf(world).list({ body: { call: callOf(asker, 'list') } });
  assert.deepEqual(
    own.releases.map(({ state }) => state),
    ['asked'],
  );
  const found = await releasesOf(world).archive({ body: { call: callOf(asker, 'archive', archiveId) } });
  assert.equal(found.archiveId, archiveId);
  const stale = callOf(asker, 'list');
  clock.advance(6 * 60_000);
  await assert.rejects(releasesOf(world).list({ body: { call: stale } }), { code: 'releases.stale_call' });
});

test('rules that become weaker wait for a day under the old ones, and toggling them shortens nothing', async () => {
  const { world, first } = await makeTenant();
  const [second, asker] = [await makePerson(world, 'second', true), await makePerson(world, 'asker')];
  await vouchFor(first, asker);
  await follow(world);
  const none = { approvals: 0, delayHours: 0, notice: 'owner' } as const;
  const open = { ...defaultReleaseRules, admin_restore: none };
  const ask = async () => {
    const request = await requestOf(asker);
    return releasesOf(world).request({ body: { request } });
  };
  // Made an approver today.
  await assert.rejects(changeRulesAs(second, rulesOf(world, 1, open)), refusedFor('keystore.young_approver'));
  assert.equal((await changeRulesAs(first, rulesOf(world, 1, open))).state, 'logged');
  await follow(world);
  assert.equal((await ask()).state, 'asked', 'the old rules are in force');
  clock.advance(20 * HOUR_MS);
  assert.equal((await changeRulesAs(first, rulesOf(world, 2, defaultReleaseRules))).state, 'logged');
  assert.equal((await changeRulesAs(first, rulesOf(world, 3, open))).state, 'logged');
  await follow(world);
  clock.advance(5 * HOUR_MS);
  assert.equal((await ask()).state, 'asked', 'toggling begins a wait of its own');
  const rules = await releasesOf(world).rules({ body: { call: callOf(asker, 'rules') } });
  assert.deepEqual([rules.inForce.admin_restore.approvals, rules.next.admin_restore.approvals], [1, 0]);
  clock.advance(19 * HOUR_MS + 60_000);
  assert.equal((await ask()).state, 'granted', 'after a day it counts');
  const changes = (await logged(world)).filter(({ leaf }) => leaf.kind === 'release_rules');
  assert.equal(changes.length, 3, 'each change is a leaf');
  await assert.rejects(changeRulesAs(first, rulesOf(world, 5, open)), refusedFor('keystore.other_number'));
  await assert.rejects(changeRulesAs(first, rulesOf(world, 3, defaultReleaseRules)), { code: 'releases.settled' });
});

test('a release waits for its delay, a person may refuse it until then, and the keystore opens it no sooner', async (t) => {
  const { world, first, archiveId } = await makeTenant();
  const asker = await makePerson(world, 'asker');
  await vouchFor(first, asker);
  const slow = { ...defaultReleaseRules, admin_restore: { approvals: 1, delayHours: 2, notice: 'owner' } as const };
  await changeRulesAs(first, rulesOf(world, 1, slow));
  const [kept, refused] = [await requestOf(asker), await requestOf(asker)];
  for (const request of [kept, refused]) {
    await releasesOf(world).request({ body: { request } });
    assert.equal((await approveAs(first, request)).state, 'logged');
    await assert.rejects(takeAs(asker, request), { code: 'releases.waiting' });
  }
  const about = releaseRequestSha256(refused.text);
  const state = await releasesOf(world).refuse({ body: { call: callOf(first, 'refuse', about) } });
  assert.equal(state.state, 'refused');
  assert.deepEqual(refusals(await logged(world, archiveId)), ['releases.refused']);
  clock.advance(HOUR_MS);
  const opening = t.mock.method(cloud.bootstrap.keystore, 'release');
  for (let times = 0; times < 3; times++) await assert.rejects(takeAs(asker, kept), { code: 'releases.waiting' });
  assert.equal(opening.mock.callCount(), 0, 'the keystore has said until when it need not be asked');
  clock.advance(HOUR_MS + 1_000);
  assert.equal((await takeAs(asker, kept)).opened.keys.scope, 'read');
  await assert.rejects(takeAs(asker, refused), refusedFor('releases.refused'));
  assert.equal((await releasesOf(world).request({ body: { request: refused } })).state, 'refused');
  assert.deepEqual(await usedOf(world), [idOf(kept)], 'what is refused the keystore is never asked to open');
  const late = { call: callOf(first, 'refuse', releaseRequestSha256(kept.text)) };
  await assert.rejects(releasesOf(world).refuse({ body: late }), { code: 'releases.settled' });
});

test('what was released is given out again for a day, and never past the end of its request', async () => {
  const { world, first } = await makeTenant();
  const asker = await makePerson(world, 'asker');
  await vouchFor(first, asker);
  const endsSoon = { expiresAt: new Date(clock.now() + 2 * HOUR_MS).toISOString() };
  const [long, short] = [await requestOf(asker), await requestOf(asker, endsSoon)];
  for (const request of [long, short]) {
    await releasesOf(world).request({ body: { request } });
    assert.equal((await approveAs(first, request)).state, 'granted');
    for (let times = 0; times < 2; times++) assert.equal((await takeAs(asker, request)).opened.keys.scope, 'read');
  }
  clock.advance(3 * HOUR_MS);
  await assert.rejects(takeAs(asker, short), refusedFor('keystore.expired'));
  clock.advance(20 * HOUR_MS);
  assert.equal((await takeAs(asker, long)).opened.keys.scope, 'read');
  clock.advance(2 * HOUR_MS);
  await assert.rejects(takeAs(asker, long), refusedFor('keystore.used'));
});
