import { after } from 'node:test';
import { startTestCloud, type TestCloud } from './test-cloud.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';

/** Starts PostgreSQL and a server for all tests of a file, at its top, and stops both when they are over. */
export async function startForFile(
  options: Parameters<typeof startTestCloud>[1] = {},
): Promise<{ readonly cluster: TestCluster; readonly cloud: TestCloud }> {
  const cluster = await startTestCluster();
  const stop = new AsyncDisposableStack();
  stop.defer(() => cluster.stop());
  after(() => stop.disposeAsync());
  const cloud = await startTestCloud(cluster, options);
  stop.defer(() => cloud.stop());
  return { cluster, cloud };
}
