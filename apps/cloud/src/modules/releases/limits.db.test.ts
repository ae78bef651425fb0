import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { defaultReleaseRules } from '@holdfast/trust';
import { sql } from 'kysely';
import {
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
  type TestCloud,
  type TestCluster,
} from '../../testing.ts';
import { MOST_IN_A_DAY } from './callers.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let worlds = 0;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

/** Somebody who may approve and has done so much today, and another person whose key need not wait. */
async function makeTenant(done: number) {
  const world = await makeWorld(cloud, `limits-${(worlds += 1)}`);
  const first = await makePerson(world, 'first', true);
  const other = await makePerson(world, 'other');
  await vouchFor(first, other);
  await exampleArchive(world);
  await act(first, done);
  return { world, first, other };
}

/** Has somebody have done so much today, with what it did already. */
async function act({ world, holder }: ReleaseParty, done: number): Promise<void> {
  const { tenantUid } = world.tenant;
  await cloud.database.withTenant(tenantUid, (tx) =>
    sql`insert into release_acts (tenant_id, act_id, by_uid, at)
      select ${tenantUid}, gen_random_uuid(), ${holder.uid}, ${new Date(cloud.clock.now())}
      from generate_series(1, ${done} - (select count(*)::int from release_acts where by_uid = ${holder.uid}))`.execute(
      tx.withTables<Record<string, never>>(),
    ),
  );
}

const tooMany = { code: 'releases.too_many' };
const refusedFor = (reason: string) => (error: { code?: string; details?: { reason?: string } }) =>
  error.code === 'releases.refused' && error.details?.reason === reason;
const ask = async (party: ReleaseParty, change: Parameters<typeof requestOf>[1] = {}) =>
  releasesOf(party.world).request({ body: { request: await requestOf(party, change) } });
const proposal = ({ world }: ReleaseParty, delayHours: number) =>
  rulesOf(world, 1, { ...defaultReleaseRules, admin_restore: { approvals: 2, delayHours, notice: 'owner' } });

test('the last one of a day is one, however many are sent at once, and others are not kept from theirs', async (t) => {
  const { world, first, other } = await makeTenant(MOST_IN_A_DAY - 1);
  const requests = await Promise.all(Array.from({ length: 8 }, () => requestOf(first)));
  const { database: name } = cloud.testDatabase.target;
  // What is counted is long in coming: whoever does not wait for it counts without it.
  await cluster.asSuperuser(
    name,
    `create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.5); return new; end';
     create trigger slow before insert on release_requests for each row execute function slow()`,
  );
  // All of them have passed the first look when the first is counted.
  const find = cloud.storage.findKeyring.bind(cloud.storage);
  const arrived = Promise.withResolvers<void>();
  let reading = 0;
  const held = t.mock.method(cloud.storage, 'findKeyring', async (...of: Parameters<typeof find>) => {
    if ((reading += 1) === requests.length) arrived.resolve();
    await arrived.promise;
    return find(...of);
  });
  const sent = requests.map((request) => releasesOf(world).request({ body: { request } }));
  const outcomes = await Promise.allSettled(sent);
  held.mock.restore();
  const refused = outcomes.flatMap((one) =>
    one.status === 'rejected' ? [(one.reason as { code?: string }).code] : [],
  );
  assert.deepEqual(
    refused,
    Array.from({ length: 7 }, () => tooMany.code),
  );
  assert.equal((await ask(other)).state, 'asked');
});

test('proposals of rules and vouches count, those that are refused too', async () => {
  const { world, first, other } = await makeTenant(MOST_IN_A_DAY - 2);
  // Only one may approve: rules that ask for two nobody could fulfil.
  await assert.rejects(changeRulesAs(first, proposal(first, 1)), refusedFor('keystore.rules_unreachable'));
  await assert.rejects(vouchFor(first, other), refusedFor('persons.vouched'));
  await assert.rejects(changeRulesAs(first, proposal(first, 2)), tooMany);
  const newcomer = await makePerson(world, 'newcomer');
  await assert.rejects(vouchFor(first, newcomer), tooMany);
  await assert.rejects(ask(first), tooMany);
  await assert.rejects(vouchFor(other, { ...newcomer, publicKey: other.publicKey }), { code: 'releases.refused' });
});

test('who has asked enough has no keyring read for it, and a vouch that nobody signed is no act', async (t) => {
  const { world, first, other } = await makeTenant(MOST_IN_A_DAY);
  const reading = t.mock.method(cloud.storage, 'findKeyring');
  const request = await requestOf(first);
  const before = reading.mock.callCount();
  await assert.rejects(releasesOf(world).request({ body: { request } }), tooMany);
  assert.equal(reading.mock.callCount(), before);
  const newcomer = await makePerson(world, 'newcomer');
  const forged = { ...first, sign: other.sign };
  await assert.rejects(vouchFor(forged, newcomer), { code: 'releases.unknown_key' });
  assert.ok((await vouchFor(other, newcomer)).logIndex > 0);
});
