import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeWorld, startForFile } from '../../testing.ts';
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
        updateDeviceState(tx, { tenantId, deviceId, state: 'deauthorized', at }),
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
      updateDeviceState(tx, { tenantId, deviceId, state: 'active', at }),
    );
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
