/** The engine: from files to an archive and back. What is stored is described in docs/formats/archive-v1.md. */
export type { BackupReport, BackupRequest } from './backup/backup-request.ts';
export { runBackup } from './backup/backup.ts';
export { type CommitClock, type CommitInstant, wallCommitClock } from './backup/commit-clock.ts';
export type { Destination, ReadableDestination } from './backup/destination.ts';
export { compileGlob, type GlobMatcher } from './backup/glob.ts';
export { maxDestinations, type RoutePlan, Routes, type SetBinding } from './backup/routes.ts';
export type { LostDestination } from './backup/uploader.ts';
export type { LostRecords, StoredAgain } from './backup/store-again.ts';
export type { BranchContent, LeftVersion, TakenCounts, TakenIn } from './backup/take-in.ts';
export { branchChain, type BranchChain, type BranchLink } from './branch/branch-chain.ts';
export { branchVersions, type BranchVersion } from './branch/branch-versions.ts';
export { type BranchSurvey, comparedVersions, type ComparedVersion, surveyBranch } from './branch/survey-branch.ts';
export type { Resealed, ResealRequest } from './backup/reseal.ts';
export type { ClosedPast, ClosePastRequest, CoveredOrdinals } from './backup/close-past.ts';
export { type NeededBelow, type NeededRecords, neededRecords } from './index/needed-records.ts';
export { isLetGo, neededStretches, parseLive } from './format/live.ts';
export { rereadSets } from './backup/reread-sets.ts';
export { archiveErrors } from './errors.ts';
export { backupErrors } from './backup/errors.ts';
export type { Problem } from './backup/messages.ts';
export { type Decision, type ExclusionRule, type SelectedSet, Selection } from './backup/selection.ts';
export {
  emptySourceAttributes,
  type OwnerNames,
  type Source,
  type SourceAttribute,
  type SourceAttributes,
  type SourceNames,
  type SourceRange,
  type SourceType,
  type SourceVolume,
} from './backup/source.ts';
export { runBackupWorker } from './backup/worker.ts';
export type { StartWorker, WorkerThreadData } from './backup/worker-pool.ts';
export type { KeptCommit } from './index/commit-table.ts';
export { LocalIndex } from './index/local-index.ts';
export { indexErrors } from './index/errors.ts';
export { asStateError } from './index/sqlite-transaction.ts';
export { commitChain, newestCommit, type RecordShelf } from './index/read-head.ts';
export { isRebuilding, type RebuildCounts, rebuildIndex } from './index/rebuild-index.ts';
export {
  type ArchiveKeys,
  bringInWriter,
  createArchive,
  type Introduction,
  sealKeyring,
  type WrapSlots,
} from './keyring/archive-keys.ts';
export { factsOf, loaderOf, readState } from './index/read-state.ts';
export { decompressZstd } from './compress/zstd.node.ts';
export { deriveKeyRing } from './format/keys.node.ts';
export { ArchiveState, listLoader } from './tree/state.ts';
export { contentOf, isFuzzy, type Row } from './format/row.ts';
export { streamExtents } from './index/stream-extents.ts';
export { isAltered, isAuthentic, openRecordSync } from './format/seal.node.ts';
export { isSignedBy } from './crypto/ed25519.node.ts';
export { isRecordSignedBy } from './format/seal.node.ts';
export { parseRecordHeader, RecordKind, recordLengthOf, splitRecord } from './format/record.ts';
export {
  introductionMessage,
  type Keyring,
  type KeyringSlot,
  parseKeyring,
  encodeRing,
  parseRing,
  type Ring,
  type Writer,
  type WriterOrigin,
  writerOfCommit,
} from './format/keyring.ts';
export { parseSetSetting, type SetSetting, setSetting } from './format/settings.ts';
export type { MapEntry } from './format/tree-node.ts';
export type { LookedAt } from './backup/pass-ports.ts';
export { type CommitOpen, type CommitSealed, parseCommitOpen, parseCommitSealed } from './format/commit.ts';
export { type Ordinal, ordinalOf, sequenceOf, writerOf } from './format/ordinal.ts';
export { compareTimes, millisecondsOf, type Time, timeOfMilliseconds } from './format/time.ts';
export * from './restore/index.ts';
export { LocalDestination } from './log/local-destination.ts';
export { isDiskFull } from './log/disk.ts';
export type { Disk } from './log/disk.ts';
export { nodeDisk } from './log/node-disk.ts';
export { readLockHost } from './log/node-host.ts';
export { logErrors } from './log/errors.ts';
export { type CommitName, judgeSession, type SessionVerdict } from './log/sessions.ts';
export { parseCommitRow, encodeRow, parseRow } from './format/row.ts';
export { commitKey, settingsKey } from './format/map-key.ts';
export {
  type DirectoryPlace,
  type FoundPath,
  type FoundRow,
  type ListedRow,
  type PathVersion,
  placeOf,
  rootDirectory,
} from './tree/state.ts';
export { type Extent, isHole, type Reference } from './format/extent.ts';
export { fileKey, parseFileKey } from './format/map-key.ts';
export { parseXattrs } from './format/xattrs.ts';
export { directoryStart } from './format/map-key.ts';
export { type LoadRecord, NodeCache } from './tree/tree-reader.ts';
