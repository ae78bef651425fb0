/**
 * The process that writes restored files as the user who asked for them.
 *
 * It starts as root, loads everything, threads included, and only then becomes the user: a process started as the user
 * could not read a program below `/root`, and would miss the user's groups. From then on it may do what the user may.
 */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Destination, deriveKeyRing, executeRestore, RestorePlan } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import { asFileError, closeDescriptor, openDirectory } from '../filesystem/index.ts';
import { type ChildError, type ChildJob, type FromChild, restoreWorkers, type ToChild } from './messages.ts';

const threads = Array.from(
  { length: restoreWorkers + 1 },
  () => new Worker(new URL('restore-thread.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 96 } }),
);
const stopping = new AbortController();
const asked = new Map<number, { records: Uint8Array[]; error?: ChildError; isEnded: boolean; wake: () => void }>();
let nextAsked = 1;

await Promise.all(threads.map((thread) => once(thread, 'message')));
closeDescriptor(openDirectory('/'));
process.on('message', (message: ToChild) => hear(message));
process.on('disconnect', () => stopping.abort());
say({ kind: 'ready' });

function say(message: FromChild): void {
  process.send?.(message);
}

function hear(message: ToChild): void {
  if (message.kind === 'stop') return stopping.abort();
  if (message.kind === 'job') return void run(message.job).finally(() => process.disconnect?.());
  const reading = asked.get(message.asked);
  if (!reading) return;
  if (message.kind === 'record') reading.records.push(message.record);
  else Object.assign(reading, { isEnded: true, ...(message.error && { error: message.error }) });
  reading.wake();
}

async function run(job: ChildJob): Promise<void> {
  try {
    become(job.user);
    say({ kind: 'report', report: await restore(job) });
  } catch (error) {
    say({ kind: 'failed', error: asPlain(error) });
  } finally {
    for (const thread of threads) thread.terminate().catch(() => undefined);
  }
}

function become(user: ChildJob['user']): void {
  if (!user) return;
  const { uid, gid, name } = user;
  if (name === undefined) process.setgroups!([gid]);
  else (process as unknown as { initgroups(user: string, extraGroup: number): void }).initgroups(name, gid);
  process.setgid!(gid);
  process.setuid!(uid);
}

async function restore(job: ChildJob) {
  const rootFd = openTarget(Buffer.from(job.target));
  const { plan } = RestorePlan.open(job.planFile, 'restore');
  try {
    const source: Destination = { name: 'agent', append: () => Promise.reject(new Error('nothing is added')), read };
    const unused = [...threads];
    return await executeRestore(plan, {
      rootFd,
      destinations: [source],
      keys: { archiveId: job.archiveId, ring: deriveKeyRing(job.archiveId, job.epochs) },
      startWorker: (data, transfer) => {
        const thread = unused.shift();
        if (!thread) throw new Error('a restore wants more threads than were started');
        thread.postMessage(data, [...transfer]);
        return thread;
      },
      workers: restoreWorkers,
      onConflict: job.onConflict,
      setuid: job.setuid,
      owners: job.owners,
      sync: 'end',
      signal: stopping.signal,
      onProgress: (progress) => say({ kind: 'progress', progress }),
    });
  } finally {
    plan.close();
    closeDescriptor(rootFd);
  }
}

function openTarget(target: Buffer): number {
  try {
    mkdirSync(target, { recursive: true });
  } catch (error) {
    throw asFileError(error, target);
  }
  return openDirectory(target);
}

/** Records come from the agent, which reads them wherever they are. */
async function* read(ordinals: readonly number[]): AsyncGenerator<Uint8Array> {
  const number = nextAsked++;
  let wake = (): void => undefined;
  const reading = {
    records: [] as Uint8Array[],
    isEnded: false,
    wake: () => wake(),
    error: undefined as ChildError | undefined,
  };
  asked.set(number, reading as never);
  say({ kind: 'read', asked: number, ordinals });
  try {
    for (;;) {
      const record = reading.records.shift();
      if (record) yield record;
      else if (reading.error) throw new CodedError(reading.error as ConstructorParameters<typeof CodedError>[0]);
      else if (reading.isEnded) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    asked.delete(number);
  }
}

function asPlain(error: unknown): ChildError {
  if (error instanceof CodedError) {
    const { code, kind, message, details } = error;
    return { code, kind, message, details };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'control.fault', kind: 'unavailable', message: 'A fault of Holdfast itself', details: { stack } };
}
