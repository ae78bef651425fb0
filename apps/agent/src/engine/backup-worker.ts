/** Entry of a backup worker thread: the engine's worker over this machine's files. */
import { workerData } from 'node:worker_threads';
import { runBackupWorker, type WorkerThreadData } from '@holdfast/archive';
import { createLinuxSource } from './linux-source.ts';

const { jobs, spares, setup } = workerData as WorkerThreadData;
runBackupWorker({ jobs, spares }, setup, createLinuxSource());
