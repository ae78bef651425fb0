/**
 * Our server for a measurement, as a process of its own: `cloud.ts FOLDER`, over TLS on loopback, with its own PostgreSQL.
 *
 * For every line on standard input it writes an enrolment token as a line of JSON; it ends when standard input does.
 */
import { createInterface } from 'node:readline';
import path from 'node:path';
import { createTenant, readCloudConfig, silentLog, startCloud } from '@holdfast/cloud';
import { administer } from '../running-cloud.ts';

const config = readCloudConfig({
  HOLDFAST_HOME: path.join(process.argv[2] ?? '', 'home'),
  HOLDFAST_LISTEN: '127.0.0.1:0',
});
const cloud = await startCloud(config, { log: silentLog });
try {
  const about = { slug: 'measured', name: 'measured', adminUsername: 'admin@measured' };
  const { invite } = await administer(cloud, await createTenant(cloud.bootstrap, about));
  const asked = createInterface({ input: process.stdin });
  // Who interrupts the measurement interrupts us too: PostgreSQL is not to be left behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => asked.close());
  const lines = asked[Symbol.asyncIterator]();
  while (!(await lines.next()).done) process.stdout.write(`${JSON.stringify(await invite(1))}\n`);
} finally {
  await cloud.stop(0);
}
