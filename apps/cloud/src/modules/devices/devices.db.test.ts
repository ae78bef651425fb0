import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceRoutes, Problem } from '@holdfast/contract';
import { openDeauthorization, parseVerifierKey } from '@holdfast/trust';
import {
  deviceProof,
  makeAssertion,
  makeDevice,
  makeWorld,
  sendRaw,
  startForFile,
  type TenantWorld,
  type TestDevice,
} from '../../testing.ts';
import { findLogVerifier } from '../logs/index.ts';
import { findDevice, touchDevice, updateDeviceState } from './store.ts';

const { cluster, cloud } = await startForFile();

test('deauthorising a device while it is heard of is not lost, whichever comes first', async () => {
  const world = await makeWorld(cloud, 'race');
  const { tenantUid: tenantId } = world.tenant;
  const { deviceId } = world.device;
  const at = new Date();
  for (const first of ['heartbeat', 'deauthorize'] as const) {
    const steps = {
      heartbeat: (tx: Parameters<typeof findDevice>[0]) =>
        touchDevice(tx, { tenantId, deviceId, os: 'Linux', agentVersion: '1', at }),
      deauthorize: (tx: Parameters<typeof findDevice>[0]) =>
        updateDeviceState(tx, { tenantId, deviceId, state: 'deauthorized', statement: null, at }),
    };
    const second = first === 'heartbeat' ? 'deauthorize' : 'heartbeat';
    const changed = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const one = cloud.database.withTenant(tenantId, async (tx) => {
      await steps[first](tx);
      changed.resolve();
      await mayCommit.promise;
    });
    await changed.promise;
    const two = cloud.database.withTenant(tenantId, (tx) => steps[second](tx));
    await waitUntilBlocked();
    mayCommit.resolve();
    await Promise.all([one, two]);
    const state = await cloud.database.withTenant(tenantId, (tx) => findDevice(tx, tenantId, deviceId));
    assert.equal(state?.state, 'deauthorized', `${first} first`);
    assert.equal(state.last_seen_at?.getTime(), at.getTime(), `${first} first`);
    await cloud.database.withTenant(tenantId, (tx) =>
      updateDeviceState(tx, { tenantId, deviceId, state: 'active', statement: null, at }),
    );
  }
});

/** What the server answers a device wherever it asks: for a token, as alive, for its archives. */
async function askEverywhere(world: TenantWorld, device: TestDevice, key = device.privateKey) {
  const beat = { method: 'POST', path: deviceRoutes.heartbeat.path };
  const list = { method: 'GET', path: '/v1/archives' };
  const holder = { ...world, device };
  const json = { 'content-type': 'application/json' };
  const assertion = await makeAssertion(world, { ...device, privateKey: key });
  const replies = await Promise.all([
    sendRaw(cloud.url, {
      method: 'POST',
      path: deviceRoutes.token.path,
      headers: json,
      body: JSON.stringify({ assertion, audience: 'api' }),
    }),
    sendRaw(cloud.url, {
      ...beat,
      headers: { ...json, ...(await (await deviceProof(holder, 'api'))(beat)) },
      body: JSON.stringify({ agentVersion: '1', os: 'Linux' }),
    }),
    sendRaw(cloud.url, { ...list, headers: await (await deviceProof(holder, 'storage'))(list) }),
  ]);
  return replies.map(({ status, json: body }) => ({ status, body }));
}

/** The statements in refusals, each opened as the device itself would. */
async function statementsFor(world: TenantWorld, device: TestDevice): Promise<readonly string[]> {
  const { tenantUid } = world.tenant;
  const verifier = await cloud.database.withTenant(tenantUid, (tx) => findLogVerifier(tx, tenantUid));
  const { deviceId: deviceUid, thumbprint: keyThumbprint } = device;
  const identity = { installationId: cloud.api.installationId, tenantUid, deviceUid, keyThumbprint };
  return (await askEverywhere(world, device)).map(({ status, body }) => {
    const { code, details } = Problem.parse(body);
    assert.deepEqual([status, code], [401, 'devices.deauthorized']);
    const statement = String(details['statement']);
    openDeauthorization(statement, identity, [parseVerifierKey(verifier)]);
    return statement;
  });
}

test('a deauthorised device is shown the proof by whatever refuses it, signed when it was deauthorised', async () => {
  const world = await makeWorld(cloud, 'proof');
  const client = cloud.clientOf(world.tenant);
  const [device, other] = [world.device, await makeDevice(world, null)];
  await client.devices.deauthorize({ params: { deviceUid: device.deviceId } });
  const [statement, ...others] = await statementsFor(world, device);
  assert.ok(statement !== undefined && others.every((each) => each === statement));
  await client.devices.deauthorize({ params: { deviceUid: device.deviceId } });
  assert.deepEqual(await statementsFor(world, device), [statement, statement, statement], 'the same after once more');
  for (const { status } of await askEverywhere(world, other)) assert.equal(status, 200, 'another device goes on');
  const [stranger] = await askEverywhere(world, device, other.privateKey);
  const { code, details } = Problem.parse(stranger?.body);
  assert.deepEqual([code, details['statement']], ['auth.invalid', undefined], 'shown to nobody without its key');
});

test('a device that ended before there were statements gets one when it is deauthorised again', async () => {
  const world = await makeWorld(cloud, 'before');
  const { tenantUid: tenantId } = world.tenant;
  for (const state of ['deauthorized', 'deactivated'] as const) {
    const device = await makeDevice(world, null);
    const { deviceId } = device;
    await cloud.database.withTenant(tenantId, (tx) =>
      updateDeviceState(tx, { tenantId, deviceId, state, statement: null, at: new Date() }),
    );
    const [refused] = await askEverywhere(world, device);
    assert.equal(Problem.parse(refused?.body).details['statement'], undefined, state);
    await cloud.clientOf(world.tenant).devices.deauthorize({ params: { deviceUid: deviceId } });
    const row = await cloud.database.withTenant(tenantId, (tx) => findDevice(tx, tenantId, deviceId));
    assert.equal(row?.state, state);
    assert.match(row.deauthorization ?? '', /^holdfast\/device-deauthorization\/v1\n/);
  }
});

/** Waits until a transaction waits for another one's row. */
async function waitUntilBlocked(): Promise<void> {
  const { database } = cloud.testDatabase.target;
  for (const until = performance.now() + 10_000; performance.now() < until;) {
    const { rows } = await cluster.asSuperuser(
      database,
      `select 1 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
      [database],
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('nothing waited');
}
