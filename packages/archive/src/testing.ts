/** What tests of the engine, and of whoever stores its records, build upon: archives made to measure, golden ones, records in memory. */
export { ArchiveMaker, type CommitPlan, type MadeCommit, type MadeRecord, sortPuts } from './testing/archive-maker.ts';
export {
  type ArchiveFiles,
  archiveFiles,
  encodeSegment,
  offsetOf,
  type SegmentEnd,
  type SegmentPlan,
} from './testing/archive-files.ts';
export { fixedTools, folderSource } from './testing/folder-source.ts';
export { goldenArchives } from './testing/golden-archives.ts';
export { type GoldenArchive, goldenEntropy, goldenRecoveryCode } from './testing/golden-begin.ts';
export { goldenFiles, readFiles, writeGolden } from './testing/golden-folder.ts';
export { createMemoryDestination, type MemoryDestination } from './testing/memory-destination.ts';
export { createMemoryRecords, type MemoryRecords } from './testing/memory-records.ts';
export { customKeySlot, escrowSlot, passwordSlot, recoverySlot } from './testing/made-slots.ts';
