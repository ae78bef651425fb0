/** One directory: what is there, what changed since it was last seen, and the rows that say so. */
import { encodeRow, type Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import { compareBytes, joinPath } from './bytes.ts';
import { bundledBelowBytes, type RecordStore } from './content-store.ts';
import { backupErrors } from './errors.ts';
import { digestOf, makeRow, makeStream, makeXattrStream, metadataOf } from './make-row.ts';
import type { FoundDirectory, LeftFile, LostName, Problem, ScanJob, Scanned } from './messages.ts';
import { problemOf } from './problem.ts';
import { LostPacker, RowPacker } from './packed-rows.ts';
import { DirectoryPacker, isAsPacked, type PackedEntry, PackedReader, rowDigestBytes } from './packed-directory.ts';
import { type FileReading, isReadInRanges, storeRange } from './read-file.ts';
import { isCredentialPath, type Selection } from './selection.ts';
import { internSets, setsDigestOf } from './set-list.ts';
import { emptySourceAttributes, isSameState, type SourceAttributes, type SourceNames } from './source.ts';

/** A worker's tools for scanning. */
export type Scanning = {
  readonly reading: FileReading;
  readonly records: RecordStore;
  readonly selection: Selection;
  /** Only what these sets select is looked at, the rest stays as it was; everything where left out. */
  readonly activeSets?: ReadonlySet<number> | undefined;
  /** Whether what these sets select has a place to go to. */
  readonly canStore: (sets: readonly number[]) => boolean;
};

/** How close to now a time may be before a later change could hide behind it. */
const racyMs = 2000;
const maxReadTries = 3;
const longestName = 4095;
const empty = new Uint8Array();
const noDigest = new Uint8Array(rowDigestBytes);
const noSets = internSets([]);

/** Scans an open directory. `path` is its absolute path, for the rules and for problems. */
export function scanDirectory(scanning: Scanning, job: ScanJob, directoryFd: number, path: Uint8Array): Scanned {
  return new DirectoryScan(scanning, job, directoryFd, path).run();
}

/** The scan of one directory under way. */
class DirectoryScan {
  readonly #scanning: Scanning;
  readonly #job: ScanJob;
  readonly #fd: number;
  /** The sets that selected the directory. */
  readonly #sets: readonly number[];
  readonly #nameAt: number;
  readonly #racyAfterMs: number;
  readonly #packer = new DirectoryPacker();
  readonly #rows = new RowPacker();
  readonly #seen = emptySourceAttributes();
  /** The directory's path, and room behind it for any name. */
  readonly #pathBytes: Uint8Array;
  readonly #isCredential: boolean;
  readonly #directories: FoundDirectory[] = [];
  readonly #left: LeftFile[] = [];
  readonly #lost = new LostPacker();
  readonly #mounts: Uint8Array[] = [];
  readonly #problems: Problem[] = [];
  #seenFiles = 0;
  #seenBytes = 0;

  constructor(scanning: Scanning, job: ScanJob, directoryFd: number, path: Uint8Array) {
    this.#scanning = scanning;
    this.#job = job;
    this.#fd = directoryFd;
    this.#sets = internSets(job.sets);
    this.#isCredential = isCredentialPath(path);
    this.#pathBytes = new Uint8Array(path.length + 1 + longestName);
    this.#pathBytes.set(joinPath(path, empty));
    this.#nameAt = path.length === 1 ? 1 : path.length + 1;
    this.#racyAfterMs = job.nowMs - racyMs;
  }

  run(): Scanned {
    const { source } = this.#scanning.reading;
    const attributes = source.statDescriptor(this.#fd, emptySourceAttributes());
    const own = this.#ownRow(attributes);
    this.#compare(this.#job.only ? listOf(this.#job.only) : source.names(this.#fd));
    return {
      kind: 'scanned',
      job: this.#job.job,
      rows: this.#rows.take(),
      directories: this.#directories,
      left: this.#left,
      lost: this.#lost.take(),
      mounts: this.#mounts,
      problems: this.#problems,
      entries: this.#packer.take(),
      own,
      attributes,
      seenFiles: this.#seenFiles,
      seenBytes: this.#seenBytes,
    };
  }

  #ownRow(attributes: SourceAttributes): Uint8Array {
    const job = this.#job;
    const { reading, records, canStore } = this.#scanning;
    const sets = this.#sets;
    // Only looked at on the way to another set's: it gets its row when its own set can be stored.
    if (!canStore(sets)) return job.own;
    const owner = { uid: attributes.uid, sets };
    const streams = makeXattrStream(reading.source.attributesOf(this.#fd), reading.content, records, owner);
    const row: Row = {
      type: 'directory',
      sets,
      ...this.#ownMetadata(attributes),
      ...(streams.length > 0 && { streams }),
      since: job.since,
      parent: { directoryNumber: job.parent, name: job.name },
      ...(job.isVolume && { mountPoint: job.place.root.mountPoint }),
    };
    const encoded = encodeRow(row);
    const digest = digestOf(encoded);
    if (compareBytes(digest, job.own) !== 0) this.#rows.add(new Uint8Array(), encoded);
    return digest;
  }

  /** On the way to an include the times are nobody's concern, and would make a row whenever a stranger's file comes. */
  #ownMetadata(attributes: SourceAttributes): Partial<Row> {
    const owner = this.#scanning.reading.source.ownerNames(attributes.uid, attributes.gid);
    const metadata = metadataOf(attributes, owner);
    if (!this.#job.only) return metadata;
    const { modifiedAt: _modified, changedAt: _changed, bornAt: _born, ...lasting } = metadata;
    return lasting;
  }

  /** Walks the names that are there and those that were, both by rising bytes. */
  #compare(names: SourceNames): void {
    const before = new PackedReader(this.#job.entries);
    let hasBefore = before.next();
    for (let place = 0; place < names.count; place++) {
      const name = names.nameAt(place);
      while (hasBefore && compareBytes(before.entry.name, name) < 0) {
        this.#loseUnlistedName(before.entry);
        hasBefore = before.next();
      }
      const isKnown = hasBefore && compareBytes(before.entry.name, name) === 0;
      this.#visit(name, isKnown ? before.entry : undefined);
      if (isKnown) hasBefore = before.next();
    }
    for (; hasBefore; hasBefore = before.next()) this.#loseUnlistedName(before.entry);
  }

  #loseUnlistedName(entry: PackedEntry): void {
    if (this.#job.kept?.some((name) => compareBytes(name, entry.name) === 0)) {
      this.#keep(entry);
      return;
    }
    const path = this.#pathOf(entry.name);
    const sets = this.#setsOf(path, entry.type);
    if (sets && !this.#isLookedAt(path, sets, entry.type)) return this.#keep(entry);
    // On the way to an include only some names are looked at: one that is not among them has left the selection.
    this.#lose(entry, this.#job.only ? 'unselected' : 'gone', false);
  }

  #lose(entry: PackedEntry, reason: LostName['reason'], isReplaced: boolean): void {
    this.#lost.add({ name: entry.name, wasDirectory: entry.type === 'directory', reason, isReplaced });
  }

  #visit(name: Uint8Array, before: PackedEntry | undefined): void {
    const path = this.#pathOf(name);
    try {
      const attributes = this.#scanning.reading.source.statAt(this.#fd, name, this.#seen);
      if (!attributes) {
        if (before) this.#lose(before, 'gone', false);
        return;
      }
      if (attributes.mountRoot) {
        this.#passMount(path, before);
        return;
      }
      const sets = this.#setsOf(path, attributes.type);
      if (!sets || !(this.#isOtherName(attributes) || this.#isLookedAt(path, sets, attributes.type))) {
        this.#passBy(before, sets !== undefined);
        return;
      }
      this.#seenFiles++;
      if (attributes.type === 'file') this.#seenBytes += attributes.sizeBytes;
      this.#compareEntry(name, { attributes, sets, before });
    } catch (error) {
      this.#problems.push(problemOf(path.slice(), error));
      if (before) this.#keep(before);
    }
  }

  /** What is mounted here is a volume of its own; the entry below it stays as it was. */
  #passMount(path: Uint8Array, before: PackedEntry | undefined): void {
    const { activeSets, selection } = this.#scanning;
    if (!activeSets || selection.concerns(path, activeSets)) this.#mounts.push(path.slice());
    if (before) this.#keep(before);
  }

  /** What other sets select stays as it was; what none selects is lost. */
  #passBy(before: PackedEntry | undefined, isSelected: boolean): void {
    if (!before) return;
    if (isSelected) this.#keep(before);
    else this.#lose(before, 'unselected', false);
  }

  #isOtherName({ links, type }: SourceAttributes): boolean {
    return this.#job.isForLinks && links > 1 && type !== 'directory';
  }

  /** The path of an entry, valid until the next one. */
  #pathOf(name: Uint8Array): Uint8Array {
    this.#pathBytes.set(name, this.#nameAt);
    return this.#pathBytes.subarray(0, this.#nameAt + name.length);
  }

  /** The sets that select an entry; none on the way to an include; undefined when it is left out. */
  #setsOf(path: Uint8Array, type: SourceAttributes['type']): readonly number[] | undefined {
    const { selection } = this.#scanning;
    if (!this.#job.only) {
      const sets = selection.selectedBelow(path, this.#sets);
      if (sets === this.#sets) return sets.length > 0 ? sets : undefined;
      return sets.length > 0 ? internSets(sets) : undefined;
    }
    const decision = selection.decide(path);
    if (decision.status === 'selected') return internSets(decision.sets);
    return decision.status === 'on_the_way' && type === 'directory' ? noSets : undefined;
  }

  /** Whether this pass is about an entry that these sets select, or about something below it. */
  #isLookedAt(path: Uint8Array, sets: readonly number[], type: SourceAttributes['type']): boolean {
    const { activeSets, selection } = this.#scanning;
    if (!activeSets || sets.some((set) => activeSets.has(set))) return true;
    return type === 'directory' && selection.leadsTo(path, activeSets);
  }

  #keep(before: PackedEntry): void {
    this.#packer.add(before.name, before, before);
  }

  #compareEntry(name: Uint8Array, seen: Seen): void {
    const { attributes, before, sets } = seen;
    if (before?.type === 'directory' && (attributes.type !== 'directory' || before.inode !== attributes.inode)) {
      this.#lose(before, 'gone', true);
    }
    if (attributes.type === 'directory') {
      const isKnown = before !== undefined && isAsPacked(before, attributes);
      const setsDigest = setsDigestOf(sets);
      this.#directories.push({
        name: name.slice(),
        attributes: { ...attributes },
        sets,
        isKnown,
        isReplacing: before !== undefined && !isKnown,
        isSelectedAnew: isKnown && before.setsDigest !== setsDigest,
      });
      this.#packer.add(name, attributes, { isRacy: false, rowDigest: noDigest, setsDigest });
    } else if (before && isAsPacked(before, attributes) && before.setsDigest === setsDigestOf(sets)) {
      this.#keep(before);
    } else {
      this.#store(name, seen);
    }
  }

  #store(name: Uint8Array, seen: Seen): void {
    const { attributes, before } = seen;
    const isFile = attributes.type === 'file';
    if (attributes.links > 1 || (isFile && isReadInRanges(attributes.sizeBytes))) {
      this.#leave(name, seen);
      return;
    }
    const made = isFile ? this.#rowOfFile(name, seen) : { row: this.#rowOfSpecial(name, seen), attributes };
    if (!made) {
      if (before) this.#lose(before, 'gone', false);
      return;
    }
    const encoded = encodeRow(made.row);
    const digest = digestOf(encoded);
    const isPut = before !== undefined && compareBytes(before.rowDigest, digest) === 0;
    if (!isPut) this.#rows.add(name, encoded);
    const isRacy = this.#isRacy(made.attributes) || made.row.flags !== undefined;
    this.#packer.add(name, made.attributes, { isRacy, rowDigest: digest, setsDigest: setsDigestOf(seen.sets) });
  }

  /** Leaves an entry to the main thread, which knows its other names or has it read in ranges. */
  #leave(name: Uint8Array, seen: Seen): void {
    const { attributes, before, sets } = seen;
    const row = attributes.type === 'file' ? undefined : encodeRow(this.#rowOfSpecial(name, seen));
    const rowDigest = before?.rowDigest.slice() ?? noDigest;
    const memory = { isRacy: true, rowDigest, setsDigest: setsDigestOf(sets) };
    const flagsAt = this.#packer.add(name, attributes, memory);
    const left = { name: name.slice(), attributes: { ...attributes }, sets, flagsAt, rowDigest };
    this.#left.push(row ? { ...left, row } : left);
  }

  #rowOfSpecial(name: Uint8Array, { attributes, sets }: Seen): Row {
    const { reading, records } = this.#scanning;
    const { source } = reading;
    const xattrs = source.attributes(this.#fd, name);
    return makeRow({
      attributes,
      owner: source.ownerNames(attributes.uid, attributes.gid),
      sets,
      ...(attributes.type === 'symlink' && { target: source.readLink(this.#fd, name) }),
      streams: makeXattrStream(xattrs, reading.content, records, { uid: attributes.uid, sets }),
    });
  }

  /** Reads a file in one state if it holds still, else in whatever states it was; undefined when it is gone. */
  #rowOfFile(name: Uint8Array, seen: Seen): { row: Row; attributes: SourceAttributes } | undefined {
    const { reading } = this.#scanning;
    let recorded = seen.attributes;
    for (let tries = 1; ; tries++) {
      const after = emptySourceAttributes();
      const fd = reading.source.openRecorded(this.#fd, name, recorded, after);
      if (fd === undefined) {
        const now = reading.source.statAt(this.#fd, name, emptySourceAttributes());
        if (now?.type !== 'file') return undefined;
        if (tries >= maxReadTries) throw backupErrors.file_replaced();
        recorded = now;
        continue;
      }
      try {
        recorded = { ...after };
        const streams = this.#streamsOf(fd, name, { ...seen, attributes: recorded });
        reading.source.statDescriptor(fd, after);
        const isWhole = isSameState(recorded, after) && streams.size === recorded.sizeBytes;
        if (!isWhole && tries < maxReadTries) {
          recorded = after;
          continue;
        }
        const owner = reading.source.ownerNames(recorded.uid, recorded.gid);
        const facts = { attributes: after, owner, sets: seen.sets, streams: streams.all, isFuzzy: !isWhole };
        return { row: makeRow(facts), attributes: after };
      } finally {
        reading.source.close(fd);
      }
    }
  }

  #streamsOf(fd: number, name: Uint8Array, { attributes, sets }: Seen): { size: number; all: StreamRef[] } {
    const { reading, records } = this.#scanning;
    const isCredential = attributes.sizeBytes < bundledBelowBytes && (this.#isCredential || isCredentialPath(name));
    const range = { offset: 0, length: attributes.sizeBytes };
    const content = makeStream('content', storeRange(reading, { fd, attributes, isCredential, sets }, range), records);
    const owner = { uid: attributes.uid, sets };
    const xattrs = makeXattrStream(reading.source.attributesOf(fd), reading.content, records, owner);
    return { size: content.size, all: [content, ...xattrs] };
  }

  #isRacy(attributes: SourceAttributes): boolean {
    const newest = Math.max(attributes.mtimeSeconds, attributes.ctimeSeconds);
    return newest * 1000 >= this.#racyAfterMs - 1000;
  }
}

function listOf(names: readonly Uint8Array[]): SourceNames {
  const sorted = names.toSorted(compareBytes);
  return { count: sorted.length, nameAt: (place) => sorted[place]! };
}

/** An entry that was seen: what it is now, who selects it, what it was. */
type Seen = {
  readonly attributes: SourceAttributes;
  readonly sets: readonly number[];
  readonly before: PackedEntry | undefined;
};
