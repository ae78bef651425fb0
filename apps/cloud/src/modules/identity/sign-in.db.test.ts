import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { manualClock } from '@holdfast/base';
import type { Problem } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { sha256 } from '../../platform/digest.ts';
import { hashPassword } from '../../platform/password.ts';
import { makeUser, makeWorld, signInAs, startForFile, trySignIn, type RawReply } from '../../testing.ts';
import { lockCounter } from './session-store.ts';

const clock = manualClock(Date.parse('2026-03-01T00:00:00Z'));
const { cluster, cloud } = await startForFile({ clock });

const codeOf = (reply: RawReply) => (reply.json as Problem).code;

function shapeOf(reply: RawReply) {
  const { requestId: _, ...problem } = reply.json as Problem;
  const { date: __, 'x-request-id': ___, ...headers } = reply.headers;
  return { status: reply.status, problem, headers };
}

const sql = (statement: string, values: readonly unknown[]) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);

/** Keeps every place of the password queue taken, until the test ends or tells it to leave. */
async function crowdTheQueue(t: TestContext): Promise<() => Promise<void>> {
  const leaving = new AbortController();
  afterwards(t, () => leaving.abort());
  const stay = async () => {
    while (!leaving.signal.aborted) await hashPassword('in the way');
  };
  const crowd = Promise.all(Array.from({ length: 100 }, stay));
  await assert.rejects(hashPassword('one too many'), { code: 'request.overloaded' });
  return async () => {
    leaving.abort();
    await crowd;
  };
}

async function someoneWaitsForALock(): Promise<void> {
  const signal = AbortSignal.timeout(5_000);
  const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = $1`;
  while ((await sql(waiting, [cloud.testDatabase.target.database])).rowCount === 0) signal.throwIfAborted();
}

test('a wrong address, name or password look the same and leave the same trace', async () => {
  const world = await makeWorld(cloud, 'same');
  const { username } = world.member;
  const blocked = await makeUser(world, { username: 'blocked', orgId: world.rootOrgId });
  await sql('update users set blocked = true where user_id = $1', [blocked.userId]);
  const right = { slug: 'same', username, password: world.member.password };
  const wrong = [
    { ...right, password: 'wrong' },
    { ...right, username: 'nobody' },
    { ...right, slug: 'nowhere' },
    { ...right, slug: 'installation' },
    { ...right, username: 'blocked' },
    { ...right, username: world.tenant.adminUsername },
  ];
  const replies = [];
  for (const attempt of wrong) replies.push(shapeOf(await trySignIn(cloud, attempt)));
  for (const reply of replies) assert.deepEqual(reply, replies[0]);
  assert.equal(replies[0]?.status, 401);
  assert.equal((await trySignIn(cloud, right)).status, 201);
  const { rows } = await sql(
    `select count(*)::int as count, count(distinct tenant_id)::int as logs from audit_entries where event_type = 'sign_in.failed'`,
    [],
  );
  assert.deepEqual(rows, [{ count: wrong.length, logs: 2 }]);
});

test('failures slow an account down, whether it exists or not, and a browser it knows goes on', async () => {
  const world = await makeWorld(cloud, 'slow');
  const browser = await signInAs(world, world.member);
  const { username, password } = world.member;
  for (const name of [username, 'nobody']) {
    const statuses = [];
    for (let attempt = 0; attempt < 8; attempt++)
      statuses.push((await trySignIn(cloud, { slug: 'slow', username: name, password: `wrong ${attempt}` })).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429, 429], name);
  }
  const stranger = await trySignIn(cloud, { slug: 'slow', username, password });
  assert.equal(codeOf(stranger), 'auth.slow_down');
  assert.equal(stranger.headers['retry-after'], '1');
  const cookie = browser.cookie;
  assert.equal((await trySignIn(cloud, { slug: 'slow', username, password, headers: { cookie } })).status, 201);
  clock.advance(1_000);
  assert.equal((await trySignIn(cloud, { slug: 'slow', username, password })).status, 201);
});

test('how attempts are counted does not tell which addresses exist', async () => {
  clock.advance(2 * 3_600_000);
  const { member } = await makeWorld(cloud, 'counted');
  const shapes = async (attempts: readonly Parameters<typeof trySignIn>[1][]) => {
    const replies = [];
    for (const attempt of attempts) replies.push(shapeOf(await trySignIn(cloud, attempt)));
    return replies;
  };
  const one = (slug: string, username: string) => ({ slug, username, password: 'wrong' });
  const unknown = Array.from({ length: 7 }, (_, number) => one(`nowhere-${number}`, 'probe'));
  const probed = await shapes([...unknown, one('counted', 'probe'), one('nowhere-7', 'probe')]);
  for (const shape of probed) assert.deepEqual([shape, shape.status], [probed[0], 401]);
  const eight = (slug: string, username: string) => shapes(Array.from({ length: 8 }, () => one(slug, username)));
  const known = await eight('counted', 'walker');
  assert.deepEqual(
    known.map(({ status }) => status),
    [401, 401, 401, 401, 401, 401, 429, 429],
  );
  assert.deepEqual(await eight('nowhere', 'walker'), known);
  // 21 have been counted for where they come from, and the refused ones not.
  const others = await shapes(Array.from({ length: 10 }, (_, number) => one('counted', `other ${number}`)));
  assert.ok(others.every(({ status }) => status === 401));
  const [here, there] = await shapes([one('counted', member.username), one('nowhere', member.username)]);
  assert.deepEqual([here, here?.status], [there, 429]);
  clock.advance(1_000);
  assert.equal((await trySignIn(cloud, { slug: 'counted', ...member })).status, 201);
  clock.advance(2 * 3_600_000);
});

test('attempts made at once are counted one after another', async () => {
  const world = await makeWorld(cloud, 'atonce');
  const { username } = world.member;
  const attempts = Array.from({ length: 20 }, (_, number) =>
    trySignIn(cloud, { slug: 'atonce', username, password: `wrong ${number}` }),
  );
  const statuses = (await Promise.all(attempts)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 401).length, 6);
  assert.equal(statuses.filter((status) => status === 429).length, 14);
});

test('an attempt whose password was not tried for want of room is not counted', async (t) => {
  clock.advance(2 * 3_600_000);
  const { tenant, member } = await makeWorld(cloud, 'crowded');
  const attempt = { slug: 'crowded', ...member };
  assert.equal((await trySignIn(cloud, attempt)).status, 201);
  const counters = async () =>
    (
      await sql(
        'select failures, blocked_until <= $1 as open from attempt_counters where last_attempt_at = $1 order by subject_kind',
        [new Date(clock.now())],
      )
    ).rows;
  const uncounted = await counters();
  assert.deepEqual(uncounted, [
    { failures: 0, open: true },
    { failures: 0, open: true },
  ]);
  let leave = await crowdTheQueue(t);
  for (let tries = 0; tries < 8; tries++) assert.equal(codeOf(await trySignIn(cloud, attempt)), 'request.overloaded');
  await leave();
  assert.deepEqual(await counters(), uncounted);
  // The queue fills between the count and the password.
  const { tenantUid: tenantId } = tenant;
  const tried = await cloud.database.withTenant(tenantId, async (tx) => {
    await lockCounter(tx, { tenantId, kind: 'account', subjectSha256: sha256(`crowded\u0000${member.username}`) });
    const trying = trySignIn(cloud, attempt);
    await someoneWaitsForALock();
    leave = await crowdTheQueue(t);
    return { trying };
  });
  assert.equal(codeOf(await tried.trying), 'request.overloaded');
  await leave();
  assert.deepEqual(await counters(), uncounted);
  assert.equal((await trySignIn(cloud, attempt)).status, 201);
});

test('no wait is longer than fifteen minutes', async () => {
  const world = await makeWorld(cloud, 'longest');
  const attempt = { slug: 'longest', username: world.member.username, password: 'wrong' };
  await trySignIn(cloud, attempt);
  await sql(`update attempt_counters set failures = 1000 where subject_kind = 'account' and tenant_id = $1`, [
    world.tenant.tenantUid,
  ]);
  await trySignIn(cloud, attempt);
  const refused = await trySignIn(cloud, attempt);
  assert.equal(refused.headers['retry-after'], '900');
  clock.advance(900_000);
  assert.equal((await trySignIn(cloud, { ...attempt, password: world.member.password })).status, 201);
});

test('nothing that was asked met a fault of the server', () => {
  assert.deepEqual(cloud.faults, []);
});
