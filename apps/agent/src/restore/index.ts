/** Restoring on Linux: the engine's target, and the threads it runs in. */
import { Worker } from 'node:worker_threads';
import type { StartRestoreWorker } from '@holdfast/archive';

export { createLinuxTarget } from './linux-target.ts';

/** Starts a thread that restores on this machine. */
export const startRestoreWorker: StartRestoreWorker = (data, transfer) =>
  new Worker(new URL('worker-thread.ts', import.meta.url), {
    workerData: data,
    transferList: [...transfer],
    resourceLimits: { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8 },
  });
