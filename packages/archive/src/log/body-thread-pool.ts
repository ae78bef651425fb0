/** One thread that reads segments to be sealed; started when first needed, it keeps no process alive. */
import { Worker } from 'node:worker_threads';
import type { BodyFacts, ReadBody } from './body-facts.ts';

/** What the thread is asked. */
export type BodyJob = {
  readonly job: number;
  readonly path: string;
  readonly facts: Parameters<ReadBody>;
};

/** What it answers. */
export type BodyAnswer =
  | { readonly job: number; readonly facts: BodyFacts }
  | { readonly job: number; readonly message: string; readonly code: string | undefined };

type Waiting = { readonly resolve: (facts: BodyFacts) => void; readonly reject: (error: unknown) => void };

let thread: Worker | undefined;
let lastJob = 0;
const waiting = new Map<number, Waiting>();

/** Reads the body of the segment in a file. Failures are those of the file system, with their `code`. */
export function readBodyInThread(path: string, ...facts: Parameters<ReadBody>): Promise<BodyFacts> {
  const worker = (thread ??= start());
  worker.ref();
  return new Promise((resolve, reject) => {
    const job = ++lastJob;
    waiting.set(job, { resolve, reject });
    worker.postMessage({ job, path, facts } satisfies BodyJob);
  });
}

function start(): Worker {
  const started = new Worker(new URL('body-thread.ts', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
  });
  started.on('message', (answer: BodyAnswer) => {
    const asked = waiting.get(answer.job);
    waiting.delete(answer.job);
    if (waiting.size === 0) started.unref();
    if ('facts' in answer) asked?.resolve(answer.facts);
    else asked?.reject(Object.assign(new Error(answer.message), { code: answer.code }));
  });
  const end = (error: unknown) => {
    thread = undefined;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  started.on('error', end);
  started.on('exit', () => end(new Error('the thread that seals segments ended')));
  return started;
}
