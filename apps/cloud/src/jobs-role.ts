import type { Clock } from '@holdfast/base';
import { escrowWork, maintenance } from './maintain.ts';
import { writeAudit } from './modules/audit/index.ts';
import { countLongUnproved, countRottenSlots, longUnprovedBefore, type TryDeps } from './modules/escrow/index.ts';
import { DEAD_QUEUE, JobWorkers } from './platform/jobs.ts';
import type { Log } from './platform/log.ts';
import type { Metrics } from './platform/metrics.ts';
import type { Database, DatabaseTarget } from './platform/postgres.ts';

/** What the role jobs is made of. */
export type JobsOptions = {
  readonly target: DatabaseTarget;
  /** The password of `hf_system`. */
  readonly password: string;
  /** The connections of `hf_system`. */
  readonly system: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What trying escrow slots needs besides; they are not tried when absent. */
  readonly escrow?: Pick<TryDeps, 'keystore' | 'kms' | 'installationId' | 'readKeyring'>;
  /** Seconds between two looks at a queue; what `JobWorkers` takes when absent. */
  readonly pollSeconds?: number;
};

/** The role jobs at work. */
export type Jobs = Pick<JobWorkers, 'stop'>;

/** Name of the gauge of jobs that failed for good. */
export const DEAD_JOBS_METRIC = 'holdfast_jobs_dead';

/** Name of the gauge of escrow slots that did not open when they were last tried. */
export const ROTTEN_SLOTS_METRIC = 'holdfast_escrow_slots_rotten';

/** Name of the gauge of archives whose newest escrow slot could not be tried for more than a day. */
export const UNPROVED_ARCHIVES_METRIC = 'holdfast_escrow_archives_unproved';

/** Starts the role jobs: every queue of the server is worked on, and `/metrics` says how many jobs wait and failed. */
export async function startJobsRole(options: JobsOptions): Promise<Jobs> {
  const { metrics, log, system, clock, escrow } = options;
  const withKeystore = escrow ? escrowWork({ ...escrow, database: system, clock, log, writeAudit }) : [];
  const workers = await JobWorkers.start({ ...options, work: [...maintenance, ...withKeystore] });
  const count = async () => {
    try {
      return await workers.count();
    } catch (err) {
      // Without the database the other figures are wanted most.
      log.debug({ err }, 'jobs could not be counted');
      return [];
    }
  };
  metrics.gauges('holdfast_jobs', 'Jobs that are not done, by queue and state', ['queue', 'state'], async () =>
    (await count()).map(({ queue, state, jobs }) => ({ labels: { queue, state }, value: jobs })),
  );
  metrics.gauges(DEAD_JOBS_METRIC, 'Jobs that failed for good', [], async () => {
    const counts = await count();
    const dead = counts.filter(({ queue }) => queue === DEAD_QUEUE).reduce((sum, { jobs }) => sum + jobs, 0);
    return [{ labels: {}, value: dead }];
  });
  metrics.gauges(ROTTEN_SLOTS_METRIC, 'Escrow slots that did not open when they were last tried', [], async () => {
    // Without the database it is not known, which is not none.
    const slots = await system.withoutTenant((tx) => countRottenSlots(tx)).catch(() => undefined);
    return slots === undefined ? [] : [{ labels: {}, value: slots }];
  });
  const unproved = 'Archives whose newest escrow slot could not be tried for more than a day';
  metrics.gauges(UNPROVED_ARCHIVES_METRIC, unproved, [], async () => {
    const before = longUnprovedBefore(clock.now());
    const archives = await system.withoutTenant((tx) => countLongUnproved(tx, before)).catch(() => undefined);
    return archives === undefined ? [] : [{ labels: {}, value: archives }];
  });
  return workers;
}
