/**
 * The log by itself, for who stores archives and never opens them: the folder, the decisions about sessions and records.
 *
 * It loads nothing of the engine that makes and restores archives.
 */
export { parseCommitOpen } from '../format/commit.ts';
export { introductionMessage, parseKeyring, type Keyring, type Writer } from '../format/keyring.ts';
export { neededStretches, parseLive, type LivePart } from '../format/live.ts';
export { sequenceOf, writerOf, type Ordinal } from '../format/ordinal.ts';
export { parseRecordHeader, RecordKind, recordHeaderBytes, recordLengthOf, splitRecord } from '../format/record.ts';
export { isSignedBy } from '../crypto/ed25519.node.ts';
export { ArchiveFolder, type FolderPosition } from './archive-folder.ts';
export type { Disk, DiskFile } from './disk.ts';
export { logErrors } from './errors.ts';
export { GroupRun } from './group-run.ts';
export { stateOf, type StoredLog } from './local-destination.ts';
export { nodeDisk } from './node-disk.ts';
export { checkRecords } from './record-checks.ts';
export { scanRecords, type ScanFinding } from './scan.ts';
export {
  acknowledgeFragment,
  emptyLogState,
  fragmentWindow,
  judgeFragment,
  openSession,
  type CommitName,
  type LogState,
} from './sessions.ts';
