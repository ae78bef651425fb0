import type { StartWorker } from '@holdfast/archive';
import { Worker } from 'node:worker_threads';

/** Starts a thread for the backup engine. */
export const startBackupWorker: StartWorker = (data, transfer) =>
  new Worker(new URL('backup-worker.ts', import.meta.url), {
    workerData: data,
    transferList: [...transfer],
    resourceLimits: { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 4 },
  });
