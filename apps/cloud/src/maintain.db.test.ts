import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEAD_JOBS_METRIC, startJobsRole } from './jobs-role.ts';
import { forgetExpired } from './maintain.ts';
import { silentLog } from './platform/log.ts';
import { createMetrics } from './platform/metrics.ts';
import { makeWorld, signInAs, startForFile } from './testing.ts';

const { cluster, cloud } = await startForFile();

const run = (statement: string, values: readonly unknown[] = []) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);
const count = async (from: string) => Number((await run(`select count(*) as count from ${from}`)).rows[0].count);

test('the schedule forgets in every tenant what has expired, and nothing else, by one job for each', async (t) => {
  const worlds = [await makeWorld(cloud, 'forget'), await makeWorld(cloud, 'forget-too')];
  await signInAs(worlds[0]!, worlds[0]!.member);
  await run(`insert into used_proofs select tenant_id, sha256('old'), now() - interval '1 minute' from tenants`);
  await run(`insert into used_proofs select tenant_id, sha256('new'), now() + interval '1 hour' from tenants`);
  const [tenants, sessions] = [await count('tenants'), await count('sessions')];
  const metrics = createMetrics();
  const jobs = await startJobsRole({
    target: cloud.testDatabase.target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock: cloud.clock,
    log: silentLog,
    metrics,
    pollSeconds: 0.5,
  });
  t.after(() => jobs.stop(0));
  for (let tries = 0; tries < 200 && (await count('used_proofs')) > tenants; tries++) await sleep(100);
  assert.equal(await count('used_proofs'), tenants);
  assert.equal(await count(`used_proofs where proof_sha256 = sha256('new')`), tenants);
  assert.equal(await count('sessions'), sessions);
  assert.ok((await count('attempt_counters')) > 0);
  const { rows } = await run(
    `select name, count(distinct group_id)::int as tenants from jobs.job where name like 'expired/%' group by 1 order by 1`,
  );
  assert.deepEqual(rows, [
    { name: 'expired/everywhere', tenants: 0 },
    { name: 'expired/tenant', tenants },
  ]);
  assert.match(await metrics.registry.metrics(), new RegExp(`^${DEAD_JOBS_METRIC} 0$`, 'm'));
  await run(`insert into jobs.job (name, data) values ('dead', '{}'), ('expired/everywhere', '{}')`);
  const text = await metrics.registry.metrics();
  assert.match(text, new RegExp(`^${DEAD_JOBS_METRIC} 1$`, 'm'));
  assert.match(text, /^holdfast_jobs\{queue="dead",state="created"\} 1$/m);
});

test('what is forgotten in one tenant is kept in another', async () => {
  const [ours, theirs] = [await makeWorld(cloud, 'one'), await makeWorld(cloud, 'other')];
  for (const world of [ours, theirs]) await signInAs(world, world.member);
  await run(`update sessions set absolute_ends_at = now() - interval '31 days'`);
  await run(`update attempt_counters set last_attempt_at = now() - interval '2 days'`);
  await run(`update known_browsers set last_used_at = now() - interval '366 days'`);
  const { tenantUid: tenantId } = ours.tenant;
  const left = async ({ tenant }: typeof ours) => {
    const of = `where tenant_id = '${tenant.tenantUid}'`;
    const locators = `locators ${of} and kind = 'session'`;
    const tables = [`sessions ${of}`, `attempt_counters ${of}`, `known_browsers ${of}`, locators];
    return Promise.all(tables.map(count));
  };
  const kept = await left(theirs);
  assert.ok(kept.every((rows) => rows > 0));
  await cloud.system.withTenant(tenantId, (tx) => forgetExpired({ tx, tenantId, now: new Date(cloud.clock.now()) }));
  assert.deepEqual(await left(ours), [0, 0, 0, 0]);
  assert.deepEqual(await left(theirs), kept);
});
