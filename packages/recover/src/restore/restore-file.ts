import { closeSync, constants, fchmodSync, fchownSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Archive } from '../archive/archive.ts';
import { type Part, readStream } from '../archive/contents.ts';
import { isNeeded } from '../archive/live-set.ts';
import { RecoverError } from '../errors.ts';
import { type Row, type Stream, streamKinds } from '../format/row.ts';
import { type OpenDirectory, pathIn } from './target.ts';

/** A stretch of a file that is lost, and why. */
export type LostStretch = { readonly position: number; readonly length: number; readonly reason: RecoverError };

/** How writing a content went: bytes that were written, stretches that are lost (the first hundred), and whether the whole holds. */
export type Written = {
  readonly writtenBytes: number;
  readonly lost: readonly LostStretch[];
  readonly lostBytes: number;
  readonly whole: boolean;
};

const LOST_KEPT = 100;

/** Adds up what is lost of one content. */
class LostParts {
  readonly stretches: LostStretch[] = [];
  bytes = 0;

  add(part: { readonly position: number; readonly length: number; readonly lost: RecoverError }): void {
    this.bytes += part.length;
    if (this.stretches.length < LOST_KEPT)
      this.stretches.push({ position: part.position, length: part.length, reason: part.lost });
  }

  addAll(sizeBytes: number, reason: RecoverError): void {
    this.bytes = Math.max(1, sizeBytes);
    this.stretches.push({ position: 0, length: sizeBytes, reason });
  }
}

/** The content of a file; undefined for a file without a stream, which is empty. */
export function contentOf(row: Row): Stream | undefined {
  return row.streams.find((stream) => stream.kind === streamKinds.content);
}

/** Reads a content to its end and writes it, unless there is nowhere to write; holes stay holes. */
export async function writeContent(
  archive: Archive,
  stream: Stream,
  into: { readonly fd: number | undefined; readonly onBytes: (bytes: number) => void },
): Promise<Written> {
  const lost = new LostParts();
  let writtenBytes = 0;
  try {
    for (const part of readStream(archive, stream)) {
      if ('lost' in part) lost.add(part);
      else writtenBytes += writePart(into.fd, part);
      into.onBytes(part.length);
      await setImmediate();
    }
  } catch (error) {
    if (!(error instanceof RecoverError)) throw error;
    lost.addAll(stream.sizeBytes, error);
  }
  if (into.fd !== undefined) ftruncateSync(into.fd, stream.sizeBytes);
  return { writtenBytes, lost: lost.stretches, lostBytes: lost.bytes, whole: lost.bytes === 0 };
}

function writePart(fd: number | undefined, part: Part): number {
  if (!('bytes' in part)) return 0;
  if (fd === undefined) return part.length;
  let done = 0;
  while (done < part.length) {
    done += writeSync(fd, part.bytes, done, part.length - done, part.position + done);
  }
  return part.length;
}

/** Makes a new, empty file that only its owner reads. Throws what the system says. */
export function createFile(directory: OpenDirectory, name: Buffer): number {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
  return openSync(pathIn(directory, name), flags, 0o600);
}

/** Sets owner and mode of an open file, in the order in which one does not undo the other, and closes it. */
export function sealFile(
  fd: number,
  wanted: {
    readonly owner: { readonly uid: number; readonly gid: number } | undefined;
    readonly mode: number | undefined;
  },
): void {
  try {
    if (wanted.owner !== undefined) fchownSync(fd, wanted.owner.uid, wanted.owner.gid);
    if (wanted.mode !== undefined) fchmodSync(fd, wanted.mode);
  } finally {
    closeSync(fd);
  }
}

/** What is lost, in words: position, length, record, where it was looked for, and what the live set says of it. */
export function describeLost(
  archive: Archive,
  lost: readonly LostStretch[],
): { readonly records: readonly string[]; readonly where: string } {
  const records = new Set<string>();
  const places = lost.map(({ position, length, reason }) => {
    const record = reason.details['record'];
    if (typeof record !== 'string')
      return `bytes ${position} to ${position + length - 1}: ${reason.message} (${String(reason.details['what'] ?? '')})`;
    records.add(record);
    const tried = reason.details['tried'];
    const looked =
      Array.isArray(tried) && tried.length > 0 ? tried.join(', ') : `in no segment${sayNeeded(archive, record)}`;
    return `bytes ${position} to ${position + length - 1}: record ${record}, ${looked}`;
  });
  return { records: [...records], where: places.join('; ') };
}

function sayNeeded(archive: Archive, record: string): string {
  if (archive.liveSet === undefined) return '';
  const [writer = 0, sequence = 0] = record.split(':').map(Number);
  const needed = isNeeded(archive.liveSet, writer * 2 ** 32 + sequence);
  return needed
    ? `, although live set ${archive.liveSet.number} needs it`
    : `, and live set ${archive.liveSet.number} let it go`;
}
