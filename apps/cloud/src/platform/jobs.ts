import { randomUUID } from 'node:crypto';
import { defineErrors, type Clock } from '@holdfast/base';
import { sql } from 'kysely';
import type pg from 'pg';
import { fromKysely, PgBoss, type ConstructorOptions, type JobWithMetadata } from 'pg-boss';
import type { z } from 'zod';
import type { Log } from './log.ts';
import type { Database, DatabaseTarget, TenantTx } from './postgres.ts';

/** The schema of the database that pg-boss keeps its tables in. */
export const JOBS_SCHEMA = 'jobs';
/** The queue of jobs that failed for good. */
export const DEAD_QUEUE = 'dead';

/** What can be wrong with a job. */
export const jobErrors = defineErrors('job', {
  no_tenant: ['corrupt', 'A job of a queue of tenants belongs to none'],
  has_tenant: ['forbidden', 'A job of the whole installation was added in the transaction of a tenant'],
  data_invalid: ['corrupt', 'A job does not say what its queue needs'],
});

/** A queue as a migration made it, and the plain JSON that its jobs carry. */
export type Queue<Data extends object> = {
  readonly name: string;
  /** One tenant's jobs, or those of the whole installation. */
  readonly of: 'tenant' | 'installation';
  readonly data: z.ZodType<Data>;
};

/** What a job of a tenant has: a transaction that sees that tenant alone. It may run more than once. */
export type TenantJobContext = {
  readonly tenantId: string;
  readonly now: Date;
  readonly tx: TenantTx;
  /** Adds a job of the same tenant in the same transaction; false when one is waiting that need not be there twice. */
  readonly enqueue: <Data extends object>(queue: Queue<Data>, data: Data) => Promise<boolean>;
};

/** What a job of the whole installation has: no tenant, and the way into the transaction of each. */
export type InstallationJobContext = {
  readonly now: Date;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
  readonly withoutTenant: <T>(work: (tx: TenantTx) => Promise<T>) => Promise<T>;
  readonly inTenant: <T>(tenantId: string, work: (ctx: TenantJobContext) => Promise<T>) => Promise<T>;
};

type BossDatabase = NonNullable<ConstructorOptions['db']>;
type Doing = { readonly boss: PgBoss; readonly system: Database; readonly clock: Clock };

/** A queue with what is done for its jobs. */
export type JobWork = {
  readonly queueName: string;
  readonly perform: (job: JobWithMetadata<unknown>, doing: Doing) => Promise<void>;
};

/** Work for one tenant: whose it is follows from the transaction that added the job, never from what the job says. */
export function tenantWork<Data extends object>(
  queue: Queue<Data>,
  run: (ctx: TenantJobContext, data: Data) => Promise<void>,
): JobWork {
  return {
    queueName: queue.name,
    async perform(job, doing) {
      const tenantId = job.groupId ?? undefined;
      if (tenantId === undefined) throw jobErrors.no_tenant({ queue: queue.name });
      const data = readData(queue, job);
      await inTenant(doing, tenantId, (ctx) => run(ctx, data));
    },
  };
}

/** What a job of a tenant has that waits for other processes: no transaction is open meanwhile. */
export type TenantErrandContext = {
  readonly tenantId: string;
  /** Aborted when the server stops, or the job has taken too long. */
  readonly signal: AbortSignal;
  /** Adds a job of the same tenant that is done in so many seconds, beside any that waits. */
  readonly enqueueLater: <Data extends object>(queue: Queue<Data>, data: Data, afterSeconds: number) => Promise<void>;
};

/** Work for one tenant that goes elsewhere, and opens transactions of its own as it needs them. It may be done more than once. */
export function tenantErrand<Data extends object>(
  queue: Queue<Data>,
  run: (ctx: TenantErrandContext, data: Data) => Promise<void>,
): JobWork {
  return {
    queueName: queue.name,
    async perform(job, { boss, system }) {
      const tenantId = job.groupId ?? undefined;
      if (tenantId === undefined) throw jobErrors.no_tenant({ queue: queue.name });
      const enqueueLater: TenantErrandContext['enqueueLater'] = (to, data, startAfter) =>
        // With a key of its own it is not one of those of which one is enough.
        system.withTenant(tenantId, async (tx) => {
          const db = fromKysely(tx.withTables<unknown>());
          await boss.send(to.name, data, { db, startAfter, singletonKey: randomUUID() });
        });
      await run({ tenantId, signal: job.signal, enqueueLater }, readData(queue, job));
    },
  };
}

/** Work for the whole installation, such as handing a job to each tenant. */
export function installationWork<Data extends object>(
  queue: Queue<Data>,
  run: (ctx: InstallationJobContext, data: Data) => Promise<void>,
): JobWork {
  return {
    queueName: queue.name,
    async perform(job, doing) {
      if ((job.groupId ?? undefined) !== undefined) throw jobErrors.has_tenant({ queue: queue.name });
      const ctx: InstallationJobContext = {
        now: new Date(doing.clock.now()),
        signal: job.signal,
        withoutTenant: (work) => doing.system.withoutTenant(work),
        inTenant: (tenantId, work) => inTenant(doing, tenantId, work),
      };
      await run(ctx, readData(queue, job));
    },
  };
}

function readData<Data extends object>(queue: Queue<Data>, job: { readonly data: unknown }): Data {
  const parsed = queue.data.safeParse(job.data);
  if (!parsed.success) throw jobErrors.data_invalid({ queue: queue.name }, parsed.error);
  return parsed.data;
}

function inTenant<T>(
  { boss, system, clock }: Doing,
  tenantId: string,
  work: (ctx: TenantJobContext) => Promise<T>,
): Promise<T> {
  return system.withTenant(tenantId, (tx) =>
    work({ tenantId, now: new Date(clock.now()), tx, enqueue: (queue, data) => send(boss, tx, queue, data) }),
  );
}

async function send<Data extends object>(boss: PgBoss, tx: TenantTx, queue: Queue<Data>, data: Data): Promise<boolean> {
  const jobId = await boss.send(queue.name, data, { db: fromKysely(tx.withTables<unknown>()) });
  return jobId !== null;
}

/** Adds jobs as one login, in the transactions of its callers. */
export class JobSender {
  readonly #boss: PgBoss;

  private constructor(boss: PgBoss) {
    this.#boss = boss;
  }

  /** Reads which queues there are; needs nothing of a job but the id of the one it adds. */
  static async open(database: Database, log: Log): Promise<JobSender> {
    const db: BossDatabase = {
      executeSql: (text, values) =>
        database.withoutTenant((tx) => fromKysely(tx.withTables<unknown>()).executeSql(text, values)),
    };
    return new JobSender(await startBoss({ db, supervise: false, schedule: false, migrate: false }, log));
  }

  /**
   * Adds a job in the caller's transaction, and with it or not at all; it belongs to that transaction's tenant.
   *
   * False when one is waiting that need not be there twice.
   */
  enqueue<Data extends object>(tx: TenantTx, queue: Queue<Data>, data: Data): Promise<boolean> {
    return send(this.#boss, tx, queue, data);
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false });
  }
}

/** How many jobs of a queue are in a state that is not an end. */
export type JobCount = {
  readonly queue: string;
  readonly state: 'created' | 'retry' | 'active';
  readonly jobs: number;
};

/** What doing jobs needs. */
export type JobWorkersOptions = {
  readonly target: DatabaseTarget;
  /** The password of `hf_system`. */
  readonly password: string;
  /** The connections of `hf_system` for what the jobs do. */
  readonly system: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly work: readonly JobWork[];
  /** Seconds between two looks at a queue, at least 0.5; 5 when absent. */
  readonly pollSeconds?: number;
};

const POLL_SECONDS = 5;
const MAINTAIN_SECONDS = 3_600;

/** Does jobs, one of each queue at a time, until it is stopped: on time, again when they fail, as `hf_system`. */
export class JobWorkers {
  readonly #boss: PgBoss;
  readonly #system: Database;

  private constructor(boss: PgBoss, system: Database) {
    this.#boss = boss;
    this.#system = system;
  }

  /** Starts looking at the queues; what schedules were due in the last minute is done at once. */
  static async start(options: JobWorkersOptions): Promise<JobWorkers> {
    const { target, password, system, clock, log, work, pollSeconds = POLL_SECONDS } = options;
    const { host, port, database, ssl } = target;
    const place = { host, port, database, user: 'hf_system', password, ...(ssl !== undefined && { ssl }) };
    const boss = await startBoss(
      {
        ...place,
        max: 3,
        migrate: false,
        maintenanceIntervalSeconds: MAINTAIN_SECONDS,
        cronWorkerIntervalSeconds: Math.max(1, pollSeconds),
        // They need to own the tables, which only hf_migrate does.
        reindex: false,
        monitorVacuum: false,
      },
      log,
    );
    try {
      for (const { queueName, perform } of work) {
        const how = { includeMetadata: true, pollingIntervalSeconds: pollSeconds } as const;
        await boss.work<unknown, void, typeof how>(queueName, how, async ([job]) => {
          if (!job) return;
          await perform(job, { boss, system, clock }).catch((err: unknown) => {
            log.warn({ err, queue: queueName, attempt: job.retryCount + 1 }, 'a job failed');
            throw err;
          });
        });
      }
    } catch (error) {
      await boss.stop({ graceful: false });
      throw error;
    }
    return new JobWorkers(boss, system);
  }

  /** Fails what a worker that died held for too long, so that it is done again; happens by itself every minute. */
  async supervise(): Promise<void> {
    await this.#boss.supervise();
  }

  /** Takes no more jobs, waits for those under way, and gives back what is not done by then (10 s). */
  async stop(deadlineMs = 10_000): Promise<void> {
    await this.#boss.stop({ graceful: deadlineMs > 0, timeout: deadlineMs });
  }

  /** Jobs by queue and state. Those of the queue `dead` failed for good. */
  async count(): Promise<readonly JobCount[]> {
    const { rows } = await this.#system.withoutTenant((tx) =>
      sql<JobCount>`select name as queue, state, count(*)::int as jobs from jobs.job where state <= 'active'
        group by name, state order by name, state`.execute(tx.withTables<unknown>()),
    );
    return rows;
  }
}

/** Brings the tables of pg-boss to the version of this program, as the login that owns them. */
export async function installJobs(client: pg.Client, log: Log): Promise<void> {
  const db: BossDatabase = { executeSql: (text, values) => client.query(text, values) };
  const boss = await startBoss({ db, migrate: true, supervise: false, schedule: false }, log);
  await boss.stop({ graceful: false });
}

async function startBoss(options: Omit<ConstructorOptions, 'schema'>, log: Log): Promise<PgBoss> {
  const boss = new PgBoss({ ...options, schema: JOBS_SCHEMA, application_name: 'jobs' });
  boss.on('error', (err) => log.error({ err }, 'the jobs met a fault'));
  boss.on('warning', ({ message }) => log.warn({ warning: message }, 'the jobs gave a warning'));
  try {
    return await boss.start();
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => undefined);
    throw error;
  }
}
