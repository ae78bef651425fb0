/** Entry of a worker thread of a restore on Linux. */
import { workerData } from 'node:worker_threads';
import type { RestoreThreadData } from '@holdfast/archive';
// Alone, not with the whole engine: a thread that loads little starts soon.
import { runRestoreWorker } from '@holdfast/archive/restore-worker';
import { createLinuxTarget } from './linux-target.ts';

const { jobs, setup } = workerData as RestoreThreadData;
runRestoreWorker(jobs, setup, createLinuxTarget());
