import { readFileSync } from 'node:fs';
import { systemClock } from '@holdfast/base';
import { z } from 'zod';
import { JobWorkers, tenantWork } from '../platform/jobs.ts';
import { silentLog } from '../platform/log.ts';
import { Database, type DatabaseTarget } from '../platform/postgres.ts';

/** What the program is told on standard input. */
export type HolderOrders = { readonly target: DatabaseTarget; readonly password: string; readonly queueName: string };

// Takes one job, writes its tenant to standard output and never finishes it: for being killed meanwhile.
const { target, password, queueName } = JSON.parse(readFileSync(0, 'utf8')) as HolderOrders;
const options = { login: 'hf_system', password, maxConnections: 2, log: silentLog } as const;
await JobWorkers.start({
  target,
  password,
  system: new Database(target, options),
  clock: systemClock,
  log: silentLog,
  pollSeconds: 0.5,
  work: [
    tenantWork({ name: queueName, of: 'tenant', data: z.object({}) }, ({ tenantId }) => {
      process.stdout.write(`${tenantId}\n`);
      return new Promise(() => undefined);
    }),
  ],
});
