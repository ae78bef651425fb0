import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { expectOutline, outlineOf, subject } from '@holdfast/trust';
import pg from 'pg';
import { exampleArchive, makeDevice, makeWorld, startForFile } from '../../testing.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';

const { cluster, cloud } = await startForFile();
/** Runs a statement as the storage role of a tenant, in a transaction that is committed where it succeeds. */
async function inTenant(tenantId: string, statement: string, values: readonly unknown[] = []) {
  const [user, password] = ['hf_storage', cluster.passwords.hf_storage];
  const client = new pg.Client({ ...cloud.testDatabase.target, user, password });
  await client.connect();
  try {
    await client.query('begin');
    await client.query(`select set_config('app.tenant_id', $1, true)`, [tenantId]);
    const reply = await client.query(statement, [...values]);
    await client.query('commit');
    return reply;
  } finally {
    await client.end();
  }
}

const isDenied = (error: unknown) => error instanceof pg.DatabaseError && error.code === '42501';

test('the storage role says keyrings of archives of the tenant in the key log, nothing else, and reads none of it', async () => {
  const [world, other] = [await makeWorld(cloud, 'rls-leaves'), await makeWorld(cloud, 'rls-leaves-other')];
  const { tenantUid } = world.tenant;
  const [{ archiveId }, foreign] = [await exampleArchive(world), await exampleArchive(other)];
  const asStorage = (statement: string, values: readonly unknown[] = []) => inTenant(tenantUid, statement, values);
  for (const table of ['key_log_leaves', 'key_log_subjects'])
    await assert.rejects(asStorage(`select 1 from ${table}`), isDenied, table);
  const text = '{"kind": "planted"}';
  const outline = Buffer.from(outlineOf(text, [subject.everyone]));
  const insert = 'insert into key_log_leaves (tenant_id, body, outline) values ($1, $2, $3)';
  await assert.rejects(asStorage(insert, [tenantUid, text, outline]), isDenied);
  const about = `insert into key_log_subjects values ($1, 'everyone', 0)`;
  await assert.rejects(asStorage(about, [tenantUid]), isDenied);

  const call = 'select say_keyring_added($1::uuid, $2::int8, $3::bytea, $4::bytea[], $5::int4[], $6::bytea) as outcome';
  const say = async (change: Partial<typeof genuine>) => {
    const { of, number, sha256, ids, kinds, nonce } = { ...genuine, ...change };
    return (await asStorage(call, [of, number, sha256, ids, kinds, nonce])).rows[0]?.['outcome'] as unknown;
  };
  const bytes = (length: number) => Buffer.from(systemRandom(length));
  const genuine = {
    of: archiveId,
    number: 2 as number | null,
    sha256: bytes(32),
    ids: [bytes(16), bytes(16)],
    kinds: [0, 7],
    nonce: bytes(16),
  };
  const wrong: readonly Partial<typeof genuine>[] = [
    { of: foreign.archiveId },
    { of: tenantUid },
    { number: 0 },
    { number: null },
    { sha256: bytes(31) },
    { ids: [bytes(16)] },
    { ids: [bytes(16), bytes(15)] },
    { kinds: [0, -1] },
    { nonce: bytes(12) },
    { ids: Array.from({ length: 65 }, () => bytes(16)), kinds: Array<number>(65).fill(1) },
  ];
  for (const change of wrong) await assert.rejects(say(change), { code: '22023' }, JSON.stringify(Object.keys(change)));
  assert.equal(await say({}), 'added');
  assert.equal(await say({}), 'known');
  assert.equal(await say({ sha256: bytes(32), ids: [], kinds: [] }), 'added');
  const most = Array.from({ length: 64 }, () => bytes(16));
  assert.equal(await say({ sha256: bytes(32), ids: most, kinds: Array<number>(64).fill(1) }), 'added');
  const leaves = await leavesOf(world, archiveId);
  const slots = leaves.map(({ leaf }) => leaf.kind === 'keyring_added' && leaf.slots.length);
  assert.deepEqual(slots.slice(1), [2, 0, 64]);
  // Read by the code that reads leaves anywhere, and labelled as that would.
  for (const { leaf, outline: entry } of leaves) expectOutline(entry, leaf);
});

test('of one archive so many keyrings are said in a day, and of another as many again', async () => {
  const world = await makeWorld(cloud, 'rls-many');
  const archives = [
    await exampleArchive(world),
    await exampleArchive({ ...world, device: await makeDevice(world, null) }),
  ];
  const many = `select say_keyring_added($1::uuid, n, sha256(int8send(n)), '{}', '{}', substr(sha256(int8send(n)), 1, 16)) as outcome
    from generate_series(2::int8, $2) n`;
  for (const { archiveId } of archives) {
    const outcomes = async (upTo: number) => {
      const { rows } = await inTenant(world.tenant.tenantUid, many, [archiveId, upTo]);
      return Object.groupBy(rows as { outcome: string }[], ({ outcome }) => outcome);
    };
    const { added, too_many: tooMany } = await outcomes(102);
    assert.deepEqual([added?.length, tooMany?.length], [99, 2], 'with the first keyring a hundred');
    assert.equal((await outcomes(50)).known?.length, 49, 'what was said is no more');
  }
});
