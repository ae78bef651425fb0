/** What of a restore is there already: whole entries, left by an earlier run or by nobody's fault, and pieces of long files. */
import { isZeroSpan } from '../chunker/zero-span.node.ts';
import { parseRow, type Row } from '../format/row.ts';
import { equalBytes } from '../format/cursor.ts';
import type { SourceRange } from '../backup/source.ts';
import { applyMetadata } from './apply-metadata.ts';
import type { CompareJob, EntryResult, PieceWork, SurveyJob } from './messages.ts';
import { restoredName } from './restored-name.ts';
import type { Target, TargetAttributes } from './target.ts';
import { isPiece } from './open-pieces.ts';
import { finishFile, openTemporary, type Writing } from './write-entries.ts';

type Surveyed = SurveyJob['entries'][number];

const mostSiblings = 10_000;

/**
 * Looks at the place of one entry. `written` or `placed`: the temporary file of an earlier run was whole. `identical`:
 * an entry of this content has the name, or one of the names a conflict gives. `skipped`: something else keeps the name.
 */
export function surveyEntry(writing: Writing, directoryFd: number, work: Surveyed): EntryResult {
  const { target, policy } = writing;
  const leftover = target.statAt(directoryFd, work.temporary);
  if (leftover !== undefined) {
    const taken = takeLeftover(writing, directoryFd, { work, leftover });
    if (taken !== undefined) return taken;
    target.remove(directoryFd, work.temporary);
  }
  const row = parseRow(work.row);
  for (let number = 0; number <= mostSiblings; number++) {
    const name = number === 0 ? work.name : restoredName(work.name, number);
    const found = target.statAt(directoryFd, name);
    if (found === undefined) break;
    if (isSame(target, directoryFd, { work, row, name, found }))
      return identical(writing, directoryFd, { work, row, name, found });
    if (policy.onConflict === 'skip') return { entry: work.entry, status: 'skipped' };
    if (policy.onConflict === 'overwrite') break;
  }
  return { entry: work.entry, status: 'pending' };
}

function takeLeftover(
  writing: Writing,
  directoryFd: number,
  { work, leftover }: { readonly work: Surveyed; readonly leftover: TargetAttributes },
): EntryResult | undefined {
  const { target } = writing;
  const isWhole =
    leftover.type === 'file' && leftover.links === 1 && hasContent(target, directoryFd, work.temporary, work);
  if (!isWhole) return undefined;
  const fd = openTemporary(target, directoryFd, work.temporary, leftover.inode);
  try {
    return finishFile(writing, directoryFd, { work, fd });
  } finally {
    target.close(fd);
  }
}

type Candidate = {
  readonly work: Surveyed;
  readonly row: Row;
  readonly name: Uint8Array;
  readonly found: TargetAttributes;
};

function identical(writing: Writing, directoryFd: number, { work, row, name, found }: Candidate): EntryResult {
  const { target, policy, notes } = writing;
  if (policy.onConflict === 'overwrite') {
    const fd = target.openPlace(directoryFd, name);
    try {
      const isStill = target.statDescriptor(fd).inode === found.inode;
      if (isStill) applyMetadata(target, fd, { row, xattrs: work.xattrs, policy, notes });
    } finally {
      target.close(fd);
    }
  }
  return { entry: work.entry, status: 'identical', name, inode: found.inode, device: found.device };
}

function isSame(target: Target, directoryFd: number, { work, row, name, found }: Candidate): boolean {
  if (found.type !== row.type) return false;
  if (row.type === 'file') return hasContent(target, directoryFd, name, work);
  if (row.type === 'symlink') return equalBytes(target.readLink(directoryFd, name), row.target ?? new Uint8Array());
  const { device } = row;
  return device === undefined || (device.major === found.rdevMajor && device.minor === found.rdevMinor);
}

function hasContent(target: Target, directoryFd: number, name: Uint8Array, work: Surveyed): boolean {
  const fd = target.openFile(directoryFd, name, 'read');
  if (fd === undefined) return false;
  try {
    const { sizeBytes, blocks } = target.statDescriptor(fd);
    if (sizeBytes !== work.sizeBytes) return false;
    // Without a piece the content is one hole: so is a file that nothing is allocated to.
    return work.piece === undefined ? blocks === 0 || sizeBytes === 0 : readPiece(target, fd, work.piece) !== undefined;
  } finally {
    target.close(fd);
  }
}

/** The bytes a file has at the place of a piece, if they are that piece. */
function readPiece(target: Target, fd: number, piece: PieceWork): Uint8Array | undefined {
  const bytes = new Uint8Array(piece.length);
  for (let at = 0; at < bytes.length;) {
    const read = target.read(fd, bytes.subarray(at), piece.position + at);
    if (read === 0) return undefined;
    at += read;
  }
  return isPiece(bytes, piece) ? bytes : undefined;
}

/** What of a long content a local file has. */
export type Comparison = {
  /** Indexes of the pieces that it has at their places. */
  readonly matches: readonly number[];
  /** Whether what is to be holes reads as zeros. */
  readonly areHolesEmpty: boolean;
  readonly sizeBytes: number;
  readonly inode: bigint;
  readonly device: number;
};

/**
 * Compares a local file with pieces at their places; where asked, those that match are copied into the temporary file.
 * Undefined where there is no regular file of this name.
 */
export function comparePieces(
  target: Target,
  fdOf: (place: number) => number,
  job: CompareJob,
): Comparison | undefined {
  const { copyTo } = job;
  const fd = target.openFile(fdOf(job.place), job.name, 'read');
  if (fd === undefined) return undefined;
  let to: number | undefined;
  try {
    const { sizeBytes, inode, device } = target.statDescriptor(fd);
    if (copyTo) to = openTemporary(target, fdOf(copyTo.place), copyTo.temporary, copyTo.inode);
    const matches = job.pieces.flatMap((piece, index) => {
      const bytes = piece.position + piece.length > sizeBytes ? undefined : readPiece(target, fd, piece);
      if (bytes === undefined) return [];
      if (to !== undefined) target.write(to, bytes, piece.position);
      return [index];
    });
    const areHolesEmpty = job.holes.every((hole) => isEmpty(target, fd, hole));
    return { matches, areHolesEmpty, sizeBytes, inode, device };
  } finally {
    target.close(fd);
    if (to !== undefined) target.close(to);
  }
}

const zerosAtOnce = 1024 * 1024;

/** Whether a stretch of a file reads as zeros, to its end; only what is allocated is read. */
function isEmpty(target: Target, fd: number, hole: SourceRange): boolean {
  for (const { offset, length } of target.dataRanges(fd, hole)) {
    const bytes = new Uint8Array(Math.min(zerosAtOnce, length));
    for (let at = 0; at < length;) {
      const read = target.read(fd, bytes.subarray(0, Math.min(bytes.length, length - at)), offset + at);
      if (read === 0) return false;
      if (!isZeroSpan(bytes.subarray(0, read))) return false;
      at += read;
    }
  }
  return true;
}
