/** Entry of a backup worker thread: the engine's worker over this machine's files. */
import { workerData } from 'node:worker_threads';
import type { WorkerThreadData } from '@holdfast/archive';
import { runBackupWorker } from '@holdfast/archive/backup-worker';
import { createLinuxSource } from './linux-source.ts';

const { jobs, spares, setup } = workerData as WorkerThreadData;
runBackupWorker({ jobs, spares }, setup, createLinuxSource());
