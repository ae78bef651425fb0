/**
 * Files that get jobs of their own: those longer than a range, and those with several names. Read once, whatever the
 * names; read again when they changed meanwhile; at last stored as they are, and said to be fuzzy.
 */
import { restartBytes } from '../chunker/chunker.ts';
import { encodeRow, parseRow } from '../format/row.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { compareBytes, joinPath } from './bytes.ts';
import { backupErrors } from './errors.ts';
import { coveredBytes } from './extent-parts.ts';
import { digestOf } from './make-row.ts';
import type { DirectoryPlace, LeftFile, Problem, Reply } from './messages.ts';
import { pathOfPlace } from './open-place.ts';
import type { LongFiles } from './partial-rows.ts';
import { isReadInRanges } from './read-file.ts';
import { settleEntry } from './packed-directory.ts';
import { unionOfSets } from '../index/block-table.ts';
import type { SourceAttribute, SourceAttributes } from './source.ts';
import type { NewJob } from './worker-pool.ts';

/** A left file with the directory it is in. */
export type LeftInDirectory = {
  readonly directory: number;
  readonly place: DirectoryPlace;
  readonly left: LeftFile;
  /** The packed entries in which it is to be marked as stored. */
  readonly entries: Uint8Array;
};

/** What became of one. */
export type StoredFile =
  | { readonly status: 'stored'; readonly row?: Uint8Array; readonly linkGroup?: number; readonly reply?: Reply }
  | { readonly status: 'problem'; readonly problem: Problem };

type Stored = Extract<StoredFile, { readonly status: 'stored' }>;

/** What the reading of one file gave: attributes, and encoded extents a range. */
type FileRead =
  | {
      readonly status: 'read';
      readonly attributes: SourceAttributes;
      readonly extents: readonly Uint8Array[];
      readonly xattrs: readonly SourceAttribute[];
      readonly isFuzzy: boolean;
    }
  | { readonly status: 'problem'; readonly code: string; readonly message: string };

type Ask = (job: NewJob) => Promise<Reply>;

const maxReadTries = 3;
const racyMs = 3000;

/** The files of one pass that are read by jobs of their own. */
export class PassFiles {
  readonly #ask: Ask;
  readonly #statAt: (place: DirectoryPlace, name: Uint8Array) => SourceAttributes | undefined;
  readonly #index: LocalIndex;
  readonly #writerNumber: number;
  readonly #startedAtMs: number;
  readonly #longFiles: LongFiles;
  /** Reads of files with several names, by device and inode, for the length of the pass. */
  readonly #linked = new Map<string, { readonly sets: readonly number[]; readonly read: Promise<FileRead> }>();
  readonly #linkGroups = new Map<string, number>();

  constructor(ports: {
    readonly ask: Ask;
    readonly statAt: (place: DirectoryPlace, name: Uint8Array) => SourceAttributes | undefined;
    readonly index: LocalIndex;
    readonly writerNumber: number;
    readonly nowMs: number;
    readonly longFiles: LongFiles;
  }) {
    this.#ask = ports.ask;
    this.#statAt = ports.statAt;
    this.#index = ports.index;
    this.#writerNumber = ports.writerNumber;
    this.#startedAtMs = ports.nowMs;
    this.#longFiles = ports.longFiles;
  }

  /** Stores one file and makes its row; no row where it equals the one that was put last. */
  async store(file: LeftInDirectory): Promise<StoredFile> {
    const { attributes, row } = file.left;
    if (row) return this.#settle(file, encodeRow({ ...parseRow(row), linkGroup: this.#linkGroupOf(file) }), attributes);
    return this.#storeContent(file);
  }

  async #storeContent(file: LeftInDirectory): Promise<StoredFile> {
    const { left } = file;
    const linked = left.attributes.links > 1 ? this.#linkedRead(file) : undefined;
    const read = await (linked?.read ?? this.#read(file, left.sets));
    const linkGroup = linked === undefined ? {} : { linkGroup: linked.linkGroup };
    if (read.status === 'problem') return { status: 'problem', problem: { path: pathOf(file), ...read } };
    const { attributes, extents, xattrs, isFuzzy } = read;
    const { sets } = left;
    const reply = await this.#ask({ kind: 'finish', attributes, sets, extents, xattrs, isFuzzy, ...linkGroup });
    if (reply.kind !== 'finished') return { status: 'problem', problem: { path: pathOf(file), ...failureOf(reply) } };
    return { ...this.#settle(file, reply.row, attributes, isFuzzy), reply };
  }

  /** Marks the entry as stored; its row counts where it differs from the last one. */
  #settle(file: LeftInDirectory, row: Uint8Array, attributes: SourceAttributes, isFuzzy = false): Stored {
    const { left, entries } = file;
    const rowDigest = digestOf(row);
    const isRacy = Math.max(attributes.mtimeSeconds, attributes.ctimeSeconds) * 1000 >= this.#startedAtMs - racyMs;
    settleEntry(entries, left.flagsAt, { rowDigest, isRacy: isRacy || isFuzzy });
    const linkGroup = left.attributes.links > 1 ? { linkGroup: this.#linkGroupOf(file) } : {};
    return { status: 'stored', ...linkGroup, ...(compareBytes(rowDigest, left.rowDigest) !== 0 && { row }) };
  }

  #linkGroupOf({ left: { attributes } }: LeftInDirectory): number {
    const { device, inode } = attributes;
    const key = `${device}:${inode}`;
    let linkGroup = this.#linkGroups.get(key) ?? this.#index.links(device, inode)[0]?.linkGroup;
    linkGroup ??= this.#writerNumber * 2 ** 32 + this.#index.lease('link groups', 1) + 1;
    this.#linkGroups.set(key, linkGroup);
    return linkGroup;
  }

  #linkedRead(file: LeftInDirectory): { read: Promise<FileRead>; linkGroup: number } {
    const { device, inode } = file.left.attributes;
    const key = `${device}:${inode}`;
    const known = this.#linked.get(key);
    const sets = known ? unionOfSets(known.sets, file.left.sets) : file.left.sets;
    // A name that other sets select needs the content at their destinations, too.
    const linked = known?.sets === sets ? known : { sets, read: this.#read(file, sets) };
    this.#linked.set(key, linked);
    return { read: linked.read, linkGroup: this.#linkGroupOf(file) };
  }

  /** Reads a file until it held still, at most three times. What is returned is all of one inode. */
  async #read(file: LeftInDirectory, sets: readonly number[]): Promise<FileRead> {
    const { name } = file.left;
    let { attributes } = file.left;
    let longFile: number | undefined;
    for (let tries = 1; ; tries++) {
      const { sizeBytes } = attributes;
      if (isReadInRanges(sizeBytes)) longFile ??= this.#longFiles.begin({ directory: file.directory, name, sets });
      const job = { kind: 'read', place: file.place, name, attributes, sets, ...(longFile && { longFile }) } as const;
      const replies = await Promise.all(rangesOf(sizeBytes).map((range) => this.#ask({ ...job, ...range })));
      const read = readingOf(replies, sizeBytes);
      if (read.status === 'problem') return read;
      if (read.attributes && (!read.isFuzzy || tries >= maxReadTries)) return { ...read, attributes: read.attributes };
      const now = this.#statAt(file.place, file.left.name);
      if (now?.type !== 'file' || tries >= maxReadTries) {
        const { code, message } = backupErrors.file_replaced();
        return { status: 'problem', code, message };
      }
      attributes = now;
    }
  }
}

/** What the ranges of a file make together; without attributes where it did not hold still for all of them. */
function readingOf(replies: readonly Reply[], sizeBytes: number) {
  const failed = replies.find((reply) => reply.kind !== 'read');
  if (failed) return { status: 'problem', ...failureOf(failed) } as const;
  const parts = replies.filter((reply) => reply.kind === 'read');
  const extents = parts.map((part) => part.extents);
  const attributes = parts.every((part) => part.after) ? parts.at(-1)?.after : undefined;
  const isWhole = extents.reduce((sum, part) => sum + coveredBytes(part), 0) === sizeBytes;
  const isFuzzy = parts.some((part) => part.isChanged) || !isWhole;
  return { status: 'read', attributes, extents, xattrs: parts.flatMap((part) => part.xattrs), isFuzzy } as const;
}

function rangesOf(sizeBytes: number): { offset: number; length: number }[] {
  const count = Math.max(1, Math.ceil(sizeBytes / restartBytes));
  return Array.from({ length: count }, (_, index) => ({
    offset: index * restartBytes,
    length: Math.min(restartBytes, sizeBytes - index * restartBytes),
  }));
}

function failureOf(reply: Reply): { code: string; message: string } {
  return reply.kind === 'failed'
    ? { code: reply.code, message: reply.message }
    : { code: 'internal', message: `an unexpected reply: ${reply.kind}` };
}

/** The absolute path of a left file. */
function pathOf({ place, left }: LeftInDirectory): Uint8Array {
  return joinPath(pathOfPlace(place), left.name);
}
