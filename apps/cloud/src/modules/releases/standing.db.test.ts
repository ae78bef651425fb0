import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { releaseRequestSha256 } from '@holdfast/trust';
import { sql } from 'kysely';
import {
  approveAs,
  callOf,
  exampleArchive,
  makeDevice,
  makePerson,
  makeWorld,
  releaseDevice,
  releasesOf,
  requestOf,
  startTestCloud,
  startTestCluster,
  stateOwner,
  takeAs,
  vouchFor,
  type TestCloud,
  type TestCluster,
  type TenantWorld,
} from '../../testing.ts';

let cluster: TestCluster;
let cloud: TestCloud;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

const unknown = { code: 'releases.unknown_key' };

type Change = {
  readonly table: 'users' | 'devices';
  readonly column: 'active' | 'blocked' | 'state' | 'user_id';
  readonly value: boolean | string;
};

const nameColumns = { users: 'user_id', devices: 'device_id' } as const;

/** Changes a user or a device, as administering does. */
async function set({ tenant }: TenantWorld, uid: string, { table, column, value }: Change): Promise<void> {
  await cloud.system.withTenant(tenant.tenantUid, (tx) =>
    sql`update ${sql.table(table)} set ${sql.ref(column)} = ${value} where ${sql.ref(nameColumns[table])} = ${uid}`.execute(
      tx.withTables<Record<string, never>>(),
    ),
  );
}

test('who is blocked or deactivated asks for nothing, approves nothing and takes nothing, until that ends', async () => {
  const world = await makeWorld(cloud, 'standing');
  const first = await makePerson(world, 'first', true);
  const asker = await makePerson(world, 'asker');
  const newcomer = await makePerson(world, 'newcomer');
  await exampleArchive(world);
  await vouchFor(first, asker);
  const request = await requestOf(asker);
  const about = releaseRequestSha256(request.text);
  const ask = async () => releasesOf(world).request({ body: { request: await requestOf(asker) } });
  await releasesOf(world).request({ body: { request } });
  const changes = [
    ['blocked', true, false],
    ['active', false, true],
  ] as const;
  for (const [column, value, back] of changes) {
    await set(world, first.holder.uid, { table: 'users', column, value });
    await assert.rejects(approveAs(first, request), unknown, column);
    await assert.rejects(vouchFor(first, newcomer), unknown, column);
    await set(world, first.holder.uid, { table: 'users', column, value: back });
  }
  assert.equal((await approveAs(first, request)).state, 'granted');
  assert.ok((await vouchFor(first, newcomer)).logIndex > 0);
  for (const [column, value, back] of changes) {
    await set(world, asker.holder.uid, { table: 'users', column, value });
    await assert.rejects(ask(), unknown, column);
    await assert.rejects(takeAs(asker, request), unknown, column);
    const call = callOf(asker, 'archive', about);
    await assert.rejects(releasesOf(world).archive({ body: { call } }), unknown, column);
    await set(world, asker.holder.uid, { table: 'users', column, value: back });
  }
  assert.equal((await ask()).state, 'asked');
  assert.equal((await takeAs(asker, request)).opened.keys.scope, 'read');
});

test('a computer that is blocked, or whose user is, is given no keys of its own archive', async () => {
  const world = await makeWorld(cloud, 'computers');
  const first = await makePerson(world, 'first', true);
  const device = await releaseDevice(world);
  await exampleArchive(world);
  await vouchFor(first, device);
  await stateOwner(device);
  const ask = async () => releasesOf(world).request({ body: { request: await requestOf(device) } });
  const changes = [
    [device.holder.uid, 'devices', 'blocked', true, false],
    [device.holder.uid, 'devices', 'state', 'deactivated', 'active'],
    [world.member.userId, 'users', 'blocked', true, false],
    [world.member.userId, 'users', 'active', false, true],
  ] as const;
  for (const [uid, table, column, value, back] of changes) {
    await set(world, uid, { table, column, value });
    await assert.rejects(ask(), unknown, `${table} ${column}`);
    await set(world, uid, { table, column, value: back });
    assert.equal((await ask()).state, 'granted', `${table} ${column}`);
  }
});

test('a computer asks to read its own archive alone, and its user does not approve that', async () => {
  const world = await makeWorld(cloud, 'one-person');
  const first = await makePerson(world, 'first', true);
  const device = await releaseDevice(world);
  await exampleArchive(world);
  await vouchFor(first, device);
  const ask = async (change: Parameters<typeof requestOf>[1] = {}, by = device) => {
    const request = await requestOf(by, change);
    return { request, state: await releasesOf(world).request({ body: { request } }) };
  };
  const refusedFor = (reason: string) => (error: { code?: string; details?: { reason?: string } }) =>
    error.code === 'releases.refused' && error.details?.reason === reason;
  await assert.rejects(ask({ scope: 'ring', epochs: 'all' }), refusedFor('releases.not_person'));
  // Nobody has said yet whose it is, so it needs an approval; the server knows it for this computer's.
  const { request, state } = await ask();
  assert.deepEqual([state.purpose, state.state], ['admin_restore', 'asked']);
  await set(world, device.holder.uid, { table: 'devices', column: 'user_id', value: first.holder.uid });
  await assert.rejects(approveAs(first, request), refusedFor('keystore.self_approval'));
  await set(world, device.holder.uid, { table: 'devices', column: 'user_id', value: world.member.userId });
  assert.equal((await approveAs(first, request)).state, 'granted');
  const other = { ...(await releaseDevice({ ...world, device: await makeDevice(world, null) })), world };
  await vouchFor(first, other);
  await assert.rejects(ask({}, other), refusedFor('releases.not_person'));
  assert.equal((await ask()).state.state, 'asked');
});
