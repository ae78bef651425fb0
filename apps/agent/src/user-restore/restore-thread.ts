/** A thread that restores, started before it is known what: what it needs must be loaded while the process is still root. */
import { parentPort } from 'node:worker_threads';
import { type RestoreThreadData, runRestoreWorker } from '@holdfast/archive';
import { closeDescriptor, openDirectory } from '../filesystem/index.ts';
import { createLinuxTarget } from '../restore/linux-target.ts';

// Loads the native library.
closeDescriptor(openDirectory('/'));
parentPort!.once('message', ({ jobs, setup }: RestoreThreadData) => runRestoreWorker(jobs, setup, createLinuxTarget()));
parentPort!.postMessage('ready');
