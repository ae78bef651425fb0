import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@holdfast/base';
import { sql } from 'kysely';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { z } from 'zod';
import { makeWorld, startTestCloud, startTestCluster, type TestCloud, type TestCluster } from '../testing.ts';
import { DEAD_QUEUE, installationWork, JobSender, JobWorkers, tenantWork, type JobWork, type Queue } from './jobs.ts';
import { silentLog } from './log.ts';
import type { Login, TenantTx } from './postgres.ts';

type Said = { readonly tenantId?: string | undefined; readonly word: string };
const said = z.object({ tenantId: z.string().optional(), word: z.string() });
const words: Queue<Said> = { name: 'test/words', of: 'tenant', data: said };
const exclusive: Queue<Said> = { name: 'test/exclusive', of: 'tenant', data: said };
const doomed: Queue<Said> = { name: 'test/doomed', of: 'tenant', data: said };
const everywhere: Queue<Said> = { name: 'test/everywhere', of: 'installation', data: said };

let cluster: TestCluster;
let cloud: TestCloud;
let sender: JobSender;
let ours: string;
let theirs: string;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  [ours, theirs] = [
    (await makeWorld(cloud, 'ours')).tenant.tenantUid,
    (await makeWorld(cloud, 'theirs')).tenant.tenantUid,
  ];
  const queues = [
    [words.name, { policy: 'standard', retryLimit: 3, heartbeatSeconds: 60 }],
    [exclusive.name, { policy: 'exclusive' }],
    [doomed.name, { policy: 'standard', retryLimit: 2, retryDelay: 1, retryBackoff: true, deadLetter: DEAD_QUEUE }],
    [everywhere.name, { policy: 'standard' }],
  ] as const;
  for (const [name, options] of queues)
    await asSuperuser('select jobs.create_queue($1, $2)', [name, JSON.stringify(options)]);
  sender = await JobSender.open(cloud.database, silentLog);
});
beforeEach(() => asSuperuser('delete from jobs.job'));
after(async () => {
  await sender.close();
  await cloud.stop();
  await cluster.stop();
});

async function asSuperuser<Row extends object>(statement: string, values: readonly unknown[] = []) {
  const { rows } = await cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);
  return rows as Row[];
}

/** Adds a job as the role api does, in a transaction of a tenant. */
const enqueue = (tenantId: string, queue: Queue<Said>, data: Said) =>
  cloud.database.withTenant(tenantId, (tx) => sender.enqueue(tx, queue, data));

/** Does jobs until the test ends; nothing is scheduled but what the migrations say. */
async function startWorkers(t: { after(undo: () => Promise<void>): void }, work: readonly JobWork[]) {
  const workers = await JobWorkers.start({
    target: cloud.testDatabase.target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock: systemClock,
    log: silentLog,
    pollSeconds: 0.5,
    work,
  });
  t.after(() => workers.stop(0));
  return workers;
}

/** Looks again and again, for 20 s at most. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(100);
  }
  throw new Error('it did not happen within 20 s');
}

async function tenantsSeen(tx: TenantTx): Promise<readonly string[]> {
  const { rows } = await sql<{ tenant_id: string }>`select distinct tenant_id from users order by 1`.execute(
    tx.withTables<unknown>(),
  );
  return rows.map((row) => row.tenant_id);
}

test('a job belongs to the tenant of the transaction that added it, whatever it says, and is done in that tenant alone', async (t) => {
  await enqueue(ours, words, { tenantId: theirs, word: 'lies in its data' });
  // Past our own sender: what pg-boss calls a group, and its own statement, name another tenant too.
  await asLogin('hf_api', ours, async (db) => {
    const boss = new PgBoss({ db, schema: 'jobs', migrate: false, supervise: false, schedule: false });
    boss.on('error', () => undefined);
    await boss.start();
    try {
      await boss.send(words.name, { tenantId: theirs, word: 'lies in its group' }, { group: { id: theirs } });
    } finally {
      await boss.stop({ graceful: false });
    }
  });
  await enqueue(theirs, words, { word: 'theirs' });
  const done: { word: string; tenantId: string; sees: readonly string[] }[] = [];
  await startWorkers(t, [
    tenantWork(words, async ({ tenantId, tx }, { word }) => {
      done.push({ word, tenantId, sees: await tenantsSeen(tx) });
    }),
  ]);
  await eventually(async () => (done.length === 3 ? true : undefined));
  assert.deepEqual(
    done.toSorted((a, b) => a.word.localeCompare(b.word)),
    [
      { word: 'lies in its data', tenantId: ours, sees: [ours] },
      { word: 'lies in its group', tenantId: ours, sees: [ours] },
      { word: 'theirs', tenantId: theirs, sees: [theirs] },
    ],
  );
});

/** A connection of a login with a tenant set, whose statements are pg-boss's to make; committed at the end. */
async function asLogin(
  login: Login,
  tenantId: string | undefined,
  work: (db: { executeSql(text: string, values?: unknown[]): Promise<pg.QueryResult> }) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ ...cloud.testDatabase.target, user: login, password: cluster.passwords[login] });
  await client.connect();
  try {
    await client.query('begin');
    if (tenantId !== undefined) await client.query(`select set_config('app.tenant_id', $1, true)`, [tenantId]);
    await work({ executeSql: (text, values) => client.query(text, values) });
    await client.query('commit');
  } finally {
    await client.end();
  }
}

const isDenied = (error: unknown) => error instanceof pg.DatabaseError && error.code === '42501';

test('who adds jobs reads nothing of them but ids of their own tenant, and changes nothing', async () => {
  await enqueue(ours, words, { word: 'ours' });
  await enqueue(theirs, words, { word: 'theirs' });
  for (const login of ['hf_api', 'hf_storage'] as const) {
    await asLogin(login, ours, async (db) => {
      const [own] = await asSuperuser<{ id: string }>(`select id from jobs.job where group_id = $1`, [ours]);
      assert.deepEqual((await db.executeSql('select id from jobs.job_common')).rows, [own]);
      assert.ok((await db.executeSql('select name, retry_limit from jobs.queue')).rows.length > 3);
      assert.equal((await db.executeSql('select version from jobs.version')).rows.length, 1);
    });
    for (const statement of [
      'select data from jobs.job_common',
      'select group_id from jobs.job_common',
      'select output from jobs.job',
      'select id from jobs.job',
      'select * from jobs.schedule',
      `update jobs.job_common set state = 'completed'`,
      'delete from jobs.job_common',
      `insert into jobs.job_common (name, state) values ('test/words', 'completed')`,
      `insert into jobs.job_common (name, source_id) values ('test/words', gen_random_uuid())`,
      `insert into jobs.job (name) values ('test/words')`,
      `select jobs.create_queue('mine', '{"policy": "standard"}')`,
      `update jobs.queue set retry_limit = 0`,
      `insert into jobs.schedule (name, cron) values ('test/words', '* * * * *')`,
    ])
      await assert.rejects(
        asLogin(login, ours, (db) => db.executeSql(statement).then(() => undefined)),
        isDenied,
        `${login}: ${statement}`,
      );
  }
  for (const login of ['hf_ingest', 'hf_keystore'] as const)
    await assert.rejects(
      asLogin(login, ours, (db) => db.executeSql('select id from jobs.job_common').then(() => undefined)),
      isDenied,
    );
});

test('without a tenant nobody but the login of jobs adds one, and a job it adds so is nobody\u2019s', async () => {
  const insert = `insert into jobs.job_common (name, group_id) values ('test/words', '${theirs}')`;
  await assert.rejects(
    asLogin('hf_api', undefined, (db) => db.executeSql(insert).then(() => undefined)),
    isDenied,
  );
  await asLogin('hf_system', undefined, (db) => db.executeSql(insert).then(() => undefined));
  assert.deepEqual(await asSuperuser('select group_id from jobs.job'), [{ group_id: null }]);
});

test('a job is there when its transaction is, and not when that was rolled back', async () => {
  const failing = cloud.database.withTenant(ours, async (tx) => {
    assert.equal(await sender.enqueue(tx, words, { word: 'vanishes' }), true);
    throw new Error('rolled back');
  });
  await assert.rejects(failing, /rolled back/);
  await enqueue(ours, words, { word: 'stays' });
  assert.deepEqual(await asSuperuser(`select data ->> 'word' as word from jobs.job`), [{ word: 'stays' }]);
});

test('a job that need not be there twice is not, in each tenant by itself', async () => {
  const add = (tenantId: string) => enqueue(tenantId, exclusive, { word: 'once' });
  assert.deepEqual(
    [await add(ours), await add(ours), await add(theirs), await add(theirs)],
    [true, false, true, false],
  );
});

test('a job of the wrong kind is not done: a tenant has none of the installation, and the installation none of a tenant', async (t) => {
  await enqueue(ours, everywhere, { word: 'from a tenant' });
  await cloud.system.withoutTenant((tx) => sender.enqueue(tx, everywhere, { word: 'from the installation' }));
  await cloud.system.withoutTenant((tx) => sender.enqueue(tx, words, { word: 'nobody\u2019s' }));
  await enqueue(ours, words, { word: 'ours' });
  const done: string[] = [];
  await startWorkers(t, [
    installationWork(everywhere, async ({ inTenant }, { word }) => {
      done.push(word, ...(await inTenant(theirs, ({ tx }) => tenantsSeen(tx))));
    }),
    tenantWork(words, async (_, { word }) => void done.push(word)),
  ]);
  const settled = await eventually(async () => {
    const rows = await asSuperuser<{ word: string; state: string }>(
      `select data ->> 'word' as word, state from jobs.job where state >= 'completed' or retry_count > 0 or output is not null`,
    );
    return rows.length === 4 ? rows : undefined;
  });
  const completed = settled.filter(({ state }) => state === 'completed').map(({ word }) => word);
  assert.deepEqual(completed.toSorted(), ['from the installation', 'ours']);
  assert.deepEqual(done.toSorted(), ['from the installation', 'ours', theirs].toSorted());
});

test('a job that fails is tried again later and later in its tenant, and when it failed for good it is counted as dead', async (t) => {
  await enqueue(ours, doomed, { word: 'fails' });
  const attempts: { tenantId: string; atMs: number }[] = [];
  const workers = await startWorkers(t, [
    tenantWork(doomed, async ({ tenantId }) => {
      attempts.push({ tenantId, atMs: performance.now() });
      throw new Error('no');
    }),
  ]);
  const dead = await eventually(async () => (await workers.count()).find(({ queue }) => queue === DEAD_QUEUE));
  assert.deepEqual(dead, { queue: DEAD_QUEUE, state: 'created', jobs: 1 });
  assert.deepEqual(
    attempts.map(({ tenantId }) => tenantId),
    [ours, ours, ours],
  );
  const [first, second, third] = attempts.map(({ atMs }) => atMs);
  // A delay of one second doubles, each time cut by half at most.
  assert.ok(second! - first! >= 990 && third! - second! >= 1_990, JSON.stringify(attempts));
  const [letter] = await asSuperuser(
    `select group_id, source_name, data ->> 'word' as word from jobs.job where name = 'dead'`,
  );
  assert.deepEqual(letter, { group_id: ours, source_name: doomed.name, word: 'fails' });
});

test('a job whose worker was killed in the middle is done again, in the same tenant', async (t) => {
  await enqueue(theirs, words, { word: 'killed' });
  const holder = spawn(process.execPath, [path.join(import.meta.dirname, '../testing/job-holder.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => void holder.kill('SIGKILL'));
  const { target } = cloud.testDatabase;
  holder.stdin.end(JSON.stringify({ target, password: cluster.passwords.hf_system, queueName: words.name }));
  const [tenantId] = (await once(holder.stdout, 'data')) as [Buffer];
  assert.equal(tenantId.toString().trim(), theirs);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const done: string[] = [];
  const workers = await startWorkers(t, [
    tenantWork(words, async (ctx, { word }) => void done.push(ctx.tenantId, word)),
  ]);
  await workers.supervise();
  assert.deepEqual(await asSuperuser('select state from jobs.job'), [{ state: 'active' }]);
  // Its sign of life grows old, and a minute has passed since the queue was looked over.
  await asSuperuser(`update jobs.job set heartbeat_on = heartbeat_on - interval '61 s'`);
  await asSuperuser(`update jobs.queue set monitor_claim_on = null, monitor_on = null`);
  await workers.supervise();
  await eventually(async () => (done.length > 0 ? true : undefined));
  assert.deepEqual(done, [theirs, 'killed']);
});

test('stopping waits for the job under way, takes no other, and gives one back that does not end', async (t) => {
  const started = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await enqueue(ours, words, { word: 'first' });
  const workers = await startWorkers(t, [
    tenantWork(words, async () => {
      started.resolve();
      await goOn.promise;
    }),
  ]);
  await started.promise;
  await enqueue(ours, words, { word: 'second' });
  const stopped = workers.stop(10_000);
  goOn.resolve();
  await stopped;
  const states = await asSuperuser(`select data ->> 'word' as word, state from jobs.job order by created_on`);
  assert.deepEqual(states, [
    { word: 'first', state: 'completed' },
    { word: 'second', state: 'created' },
  ]);
  const held = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  t.after(() => letGo.resolve());
  const hanging = await startWorkers(t, [
    tenantWork(words, async () => {
      held.resolve();
      await letGo.promise;
    }),
  ]);
  await held.promise;
  await hanging.stop(1_000);
  const [given] = await asSuperuser(`select state, group_id from jobs.job where data ->> 'word' = 'second'`);
  assert.deepEqual(given, { state: 'retry', group_id: ours });
});
