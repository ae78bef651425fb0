import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock, type Clock } from '@holdfast/base';
import { defaultReleaseRules, releaseRequestSha256, type ReleaseRules } from '@holdfast/trust';
import { sql } from 'kysely';
import {
  approvalOf,
  callOf,
  changeRulesAs,
  exampleArchive,
  makePerson,
  makeWorld,
  releasesOf,
  requestOf,
  rulesOf,
  startTestCloud,
  startTestCluster,
  vouchFor,
  type ReleaseParty,
  type TenantWorld,
  type TestCloud,
  type TestCluster,
} from '../../testing.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';
import { appendKeyLogLeaf, bringKeystore } from '../keylog/index.ts';

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

/** A tenant with one who may approve, known to the keystore, and one whose key the keystore has not seen for a day. */
async function makeTenant() {
  const world = await makeWorld(cloud, `rules-${(worlds += 1)}`);
  const first = await makePerson(world, 'first', true);
  await follow(world);
  const second = await makePerson(world, 'second', true);
  clock.advance(25 * HOUR_MS);
  return { world, first, second };
}

/** Shows the keystore what is new, as the server does every half minute. */
async function follow(world: TenantWorld): Promise<void> {
  const { database, kms, bootstrap } = cloud;
  const { installationId } = cloud.api;
  const deps = { database, kms: kms.forRole('api'), installationId, clock, keystore: bootstrap.keystore };
  await bringKeystore(deps, world.tenant.tenantUid);
}

const slow: ReleaseRules = {
  ...defaultReleaseRules,
  admin_restore: { approvals: 1, delayHours: 5, notice: 'owner' },
};
const slower: ReleaseRules = {
  ...defaultReleaseRules,
  admin_restore: { approvals: 1, delayHours: 6, notice: 'everyone' },
};

const readRules = (party: ReleaseParty) => releasesOf(party.world).rules({ body: { call: callOf(party, 'rules') } });
const known = async ({ tenant: { tenantUid } }: TenantWorld) =>
  (await cloud.bootstrap.keystore.releaseRules({ tenantUid })).changes.map(({ changeSha256 }) => changeSha256);
const ruleLeaves = async (world: TenantWorld) =>
  (await leavesOf(world)).filter(({ leaf }) => leaf.kind === 'release_rules').length;

/** Writes a leaf of a change that the keystore will not take, as a server does that judges by the leaves alone. */
async function logAlone(by: ReleaseParty, change: string): Promise<void> {
  const { tenantUid: tenantId } = by.world.tenant;
  const approvals = [approvalOf(by, change)];
  const at = new Date(clock.now());
  const changeSha256 = releaseRequestSha256(change);
  await cloud.database.withTenant(tenantId, async (tx) => {
    const fact = { kind: 'release_rules', change, approvals } as const;
    const db = tx.withTables<Record<string, never>>();
    await sql`insert into release_rule_changes (tenant_id, change_sha256, number, change, proposed_at)
      values (${tenantId}, ${changeSha256}, 1, ${change}, ${at})`.execute(db);
    const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at }, fact);
    await sql`insert into release_outcomes (tenant_id, document_sha256, outcome, log_index, at)
      values (${tenantId}, ${changeSha256}, 'logged', ${logIndex}, ${at})`.execute(db);
  });
}

test('a change that the keystore would not take is no leaf, and the next one has its number', async () => {
  const { world, first, second } = await makeTenant();
  const change = rulesOf(world, 1, slow);
  // By the leaf its key is a day old; the keystore sees it now.
  await assert.rejects(changeRulesAs(second, change), (error: { code?: string; details?: { reason?: string } }) => {
    assert.deepEqual([error.code, error.details?.reason], ['releases.refused', 'keystore.young_approver']);
    return true;
  });
  assert.equal(await ruleLeaves(world), 0);
  assert.deepEqual((await readRules(first)).changes, []);
  assert.equal((await changeRulesAs(first, change)).state, 'logged');
  assert.deepEqual(await known(world), [releaseRequestSha256(change)]);
  clock.advance(25 * HOUR_MS);
  assert.equal((await changeRulesAs(second, rulesOf(world, 2, slower))).state, 'logged');
  assert.equal((await known(world)).length, 2);
});

test('a change in the log that the keystore refused is shown as refused, and neither counts nor keeps its number', async () => {
  const { world, first, second } = await makeTenant();
  await vouchFor(first, await makePerson(world, 'asker'));
  await logAlone(second, rulesOf(world, 1, slower));
  await follow(world);
  assert.deepEqual(await known(world), []);
  assert.deepEqual((await readRules(first)).inForce, defaultReleaseRules, 'the keystore alone says what counts');
  const change = rulesOf(world, 1, slow);
  assert.equal((await changeRulesAs(first, change)).state, 'logged');
  assert.deepEqual(await known(world), [releaseRequestSha256(change)]);
  const { changes, inForce } = await readRules(first);
  assert.deepEqual(
    changes.map(({ state, number }) => `${number} ${state}`),
    ['1 logged', '1 refused'],
  );
  assert.deepEqual(inForce, slow);
  const { entries } = await cloud.clientOf(world.tenant).audit.entries({ query: {} });
  assert.equal(entries.filter(({ eventType }) => eventType === 'release_rules.refused').length, 1);
});

test('a release is logged under the rules that the keystore will judge it by', async () => {
  const { world, first, second } = await makeTenant();
  const asker = await makePerson(world, 'asker');
  await vouchFor(first, asker);
  await exampleArchive(world);
  const none = { ...defaultReleaseRules, admin_restore: { approvals: 0, delayHours: 0, notice: 'owner' } as const };
  await logAlone(second, rulesOf(world, 1, none));
  await follow(world);
  clock.advance(25 * HOUR_MS);
  const request = await requestOf(asker);
  const state = await releasesOf(world).request({ body: { request } });
  assert.deepEqual([state.state, state.approvalsNeeded], ['asked', 1]);
});

test('of two changes with one number the keystore takes one, and the other is settled', async () => {
  const { world, first } = await makeTenant();
  const changes = [rulesOf(world, 1, slow), rulesOf(world, 1, slower)];
  const outcomes = await Promise.allSettled(changes.map((change) => changeRulesAs(first, change)));
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  assert.equal((await known(world)).length, 1);
  assert.equal(await ruleLeaves(world), 1);
});
