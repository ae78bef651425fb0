import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestCloud, startTestCluster, type TestCloud, type TestCluster } from './testing.ts';

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

test('an API client reads its tenant', async () => {
  const tenant = await cloud.addTenant('first');
  const customer = await cloud.clientOf(tenant).customer.get();
  assert.equal(customer.tenantId, tenant.tenantUid);
  assert.deepEqual(cloud.faults, []);
});
