import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeWorld, startForFile } from '../../testing.ts';
import { defaultBackupSet, defaultSettings } from './index.ts';

const { cloud } = await startForFile();

test('an org inherits what it does not decide, and cannot change what is locked above', async () => {
  const world = await makeWorld(cloud, 'inherit');
  const { policies } = cloud.clientOf(world.tenant);
  const [root, child] = [{ orgGuid: world.rootOrgId }, { orgGuid: world.childOrgId }];
  assert.deepEqual((await policies.get({ params: child })).resolved.settings, defaultSettings);
  const sets = [{ ...defaultBackupSet, name: 'Łódź', includes: ['C:\\Users', '~/\u{1f600}'] }];
  const own = { settings: { backupSets: sets, coldStorageDays: 0 }, locked: ['coldStorageDays' as const] };
  await policies.put({ params: root, body: { own, revision: 0 } });
  const { resolved } = await policies.get({ params: child });
  assert.deepEqual(resolved.settings.backupSets, sets);
  assert.equal(resolved.sources.backupSets, world.rootOrgId);
  assert.deepEqual(resolved.locked, ['coldStorageDays']);
  const change = (settings: object) =>
    policies.put({ params: child, body: { own: { settings, locked: [] }, revision: 0 } });
  await assert.rejects(change({ coldStorageDays: 9 }), { code: 'policies.locked_above' });
  assert.equal((await change({ escrow: 'off' })).resolved.settings.escrow, 'off');
});

test('a change made on an older revision is refused, and one on the newest is made', async () => {
  const world = await makeWorld(cloud, 'revision');
  const { policies } = cloud.clientOf(world.tenant);
  const params = { orgGuid: world.childOrgId };
  const put = (coldStorageDays: number, revision: number) =>
    policies.put({ params, body: { own: { settings: { coldStorageDays }, locked: [] }, revision } });
  await assert.rejects(put(1, 5), { code: 'policies.changed_meanwhile' });
  const results = await Promise.allSettled([1, 2, 3, 4, 5].map((days) => put(days, 0)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  await assert.rejects(put(6, 0), { code: 'policies.changed_meanwhile' });
  assert.equal((await put(7, 1)).revision, 2);
});

test('a policy as large as a body may be is stored and recorded', async () => {
  const world = await makeWorld(cloud, 'large');
  const { policies } = cloud.clientOf(world.tenant);
  const includes = Array.from({ length: 60 }, (_, index) => `/${String(index).padEnd(4_000, 'x')}`);
  const own = { settings: { backupSets: [{ ...defaultBackupSet, includes }] }, locked: [] };
  const params = { orgGuid: world.rootOrgId };
  assert.equal((await policies.put({ params, body: { own, revision: 0 } })).revision, 1);
  assert.equal((await policies.put({ params, body: { own, revision: 1 } })).revision, 2);
});
