/**
 * The half of the engine that reads, for browsers as for Node: codecs, keys by WebCrypto, the tree, an archive from its
 * records. Nothing here, nor anything it imports, needs Node.
 */
export { archiveErrors } from './errors.ts';
export type { Decompress } from './compress/zstd-frame.ts';
export type { Extent, Reference, Sha256 } from './format/extent.ts';
export { isHole } from './format/extent.ts';
export type { Keyring, Writer } from './format/keyring.ts';
export type { LivePart, LiveRange } from './format/live.ts';
export { isLetGo, neededStretches, parseLive } from './format/live.ts';
export type { OpenedRecord, OpenTools, RecordOpeners } from './format/open.ts';
export { isRecordSigned, openRecord } from './format/open.ts';
export type { Ordinal } from './format/ordinal.ts';
export { formatOrdinal, ordinalOf, sequenceOf, writerOf } from './format/ordinal.ts';
export type { RecordHeader, RecordKindName } from './format/record.ts';
export { kindNameOf, parseRecordHeader, RecordKind, recordLengthOf } from './format/record.ts';
export type { Row, RowType } from './format/row.ts';
export { contentOf, isFuzzy } from './format/row.ts';
export type { StreamKind, StreamRef } from './format/stream.ts';
export type { Time } from './format/time.ts';
export { compareTimes, millisecondsOf, timeOfMilliseconds } from './format/time.ts';
export type { Xattr } from './format/xattrs.ts';
export { parseXattrs } from './format/xattrs.ts';
export type { KeyringFork } from './tree/choose-keyring.ts';
export { findHeader, findKeyring, type FoundKeyring } from './tree/find-keyring.ts';
export type { OpenedArchive } from './tree/open-archive.ts';
export { openArchive } from './tree/open-archive.ts';
export type {
  OpenSlot,
  ReadAccess,
  ReadChoice,
  ReadProblem,
  ReadTools,
  RecordSource,
  SlotEffort,
} from './tree/record-source.ts';
export type { DirectoryPlace, FoundPath, FoundRow, ListedRow, PathVersion } from './tree/state.ts';
export { ArchiveState, placeOf, rootDirectory } from './tree/state.ts';
export type { StreamPiece } from './tree/stream-reader.ts';
export { StreamReader } from './tree/stream-reader.ts';
