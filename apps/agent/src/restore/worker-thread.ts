/** Entry of a worker thread of a restore on Linux. */
import { workerData } from 'node:worker_threads';
import { type RestoreThreadData, runRestoreWorker } from '@holdfast/archive';
import { createLinuxTarget } from './linux-target.ts';

const { jobs, setup } = workerData as RestoreThreadData;
runRestoreWorker(jobs, setup, createLinuxTarget());
