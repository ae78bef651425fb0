/** What a measurement of the engine composes: the same parts as the agent. */
export { folderPlace, prepareFolder } from '../destinations/folder-place.ts';
export { sendKeyRecords } from '../destinations/catch-up.ts';
export { startRestoreWorker } from '../restore/index.ts';
export { closeDescriptor, openDirectory } from '../filesystem/index.ts';
export { createLinuxSource } from './linux-source.ts';
export { startBackupWorker } from './start-worker.ts';
