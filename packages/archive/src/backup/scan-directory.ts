/** One directory: what is there, what changed since it was last seen, and the rows that say so. */
import { encodeRow, type Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import type { EntryLookup } from '../index/entry-table.ts';
import { compareBytes, joinPath } from './bytes.ts';
import { bundledBelowBytes, type RecordStore } from './content-store.ts';
import { backupErrors } from './errors.ts';
import { digestOf, makeRow, makeStream, makeXattrStream, metadataOf } from './make-row.ts';
import type { FoundDirectory, LeftFile, LostName, Problem, ScanJob, Scanned } from './messages.ts';
import { problemOf } from './problem.ts';
import type { LostPacker, RowPacker } from './packed-rows.ts';
import {
  type DirectoryPacker,
  type EntryMemory,
  isAsPacked,
  type PackedEntry,
  PagedEntries,
  rowDigestBytes,
} from './packed-directory.ts';
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
  readonly known: EntryLookup;
  /** Gather what a scan says; kept from one to the next, since growing them costs more than filling them. */
  readonly packers: { readonly entries: DirectoryPacker; readonly rows: RowPacker; readonly lost: LostPacker };
  /** The names of the directory at which a scan stopped last. */
  listing: { readonly directory: number; readonly names: SourceNames } | undefined;
};

/** How close to now a time may be before a later change could hide behind it. */
const racyMs = 2000;
const maxReadTries = 3;
const longestName = 4095;
const empty = new Uint8Array();
const noDigest = new Uint8Array(rowDigestBytes);
const noSets = internSets([]);

/** Bytes of rows and entries after which a scan stops, to go on with another job. */
const stopAfterBytes = 1024 * 1024;
/** About what an entry takes that is left to the main thread, or told to it. */
const toldBytes = 1024;

/** Scans an open directory, or some of its names. `path` is its absolute path, for the rules and for problems. */
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
  readonly #packer: DirectoryPacker;
  readonly #rows: RowPacker;
  readonly #lost: LostPacker;
  readonly #seen = emptySourceAttributes();
  /** The directory's path, and room behind it for any name. */
  readonly #pathBytes: Uint8Array;
  readonly #isCredential: boolean;
  readonly #directories: FoundDirectory[] = [];
  readonly #left: LeftFile[] = [];
  readonly #mounts: Uint8Array[] = [];
  readonly #problems: Problem[] = [];
  #seenFiles = 0;
  #seenBytes = 0;
  /** Whether any of the entries is not what it was. */
  #isChanged = false;

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
    const { entries, rows, lost } = scanning.packers;
    [this.#packer, this.#rows, this.#lost] = [entries, rows, lost];
    // What a scan gathered that failed is nobody's.
    for (const packer of [entries, rows, lost]) packer.clear();
  }

  run(): Scanned {
    const { source } = this.#scanning.reading;
    const attributes = source.statDescriptor(this.#fd, emptySourceAttributes());
    const { goesOn } = this.#job;
    if (goesOn && (goesOn.device !== attributes.device || goesOn.inode !== attributes.inode)) {
      throw backupErrors.folder_replaced();
    }
    const own = goesOn ? this.#job.own : this.#ownRow(attributes);
    const names = this.#names();
    const next = this.#compare(names);
    this.#scanning.listing = next && { directory: this.#job.directory, names };
    return {
      kind: 'scanned',
      job: this.#job.job,
      rows: this.#rows.take(),
      directories: this.#directories,
      left: this.#left,
      lost: this.#lost.take(),
      mounts: this.#mounts,
      problems: this.#problems,
      ...(this.#isChanged && { entries: this.#packer.take() }),
      ...(next && { next }),
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

  /** A scan that goes on takes the names that were listed for it before; a folder is read once, however large. */
  #names(): SourceNames {
    const { only, goesOn, directory } = this.#job;
    const { listing, reading } = this.#scanning;
    if (only) return listOf(only);
    return goesOn && listing?.directory === directory ? listing.names : reading.source.names(this.#fd);
  }

  /** Walks the names that are there and those that were, both by rising bytes; returns the one at which it stopped. */
  #compare(names: SourceNames): Uint8Array | undefined {
    const { directory, isKnown, goesOn } = this.#job;
    const from = goesOn?.from ?? empty;
    const before = new PagedEntries(isKnown ? this.#scanning.known.entriesFrom(directory, from) : []);
    for (let place = placeFrom(names, from); ;) {
      const listed = nameAt(names, place);
      const name = firstOf(listed, before.entry?.name);
      if (!name || this.#isFull()) return name?.slice();
      const known = before.at(name);
      if (name === listed) {
        this.#visit(name, known);
        place++;
      } else if (known) this.#loseUnlistedName(known);
      if (known) before.advance();
    }
  }

  #isFull(): boolean {
    const told = this.#directories.length + this.#left.length + this.#mounts.length + this.#problems.length;
    return this.#rows.length + this.#packer.length + this.#lost.length + told * toldBytes >= stopAfterBytes;
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
    this.#isChanged = true;
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
      this.#compareDirectory(name, seen);
    } else if (before && isAsPacked(before, attributes) && before.setsDigest === setsDigestOf(sets)) {
      this.#keep(before);
    } else {
      this.#store(name, seen);
    }
  }

  #compareDirectory(name: Uint8Array, { attributes, before, sets }: Seen): void {
    const isKnown = before !== undefined && isAsPacked(before, attributes);
    const setsDigest = setsDigestOf(sets);
    const isSelectedAnew = isKnown && before.setsDigest !== setsDigest;
    this.#directories.push({
      name: name.slice(),
      attributes: { ...attributes },
      sets,
      isKnown,
      isReplacing: before !== undefined && !isKnown,
      isSelectedAnew,
    });
    if (isKnown && !isSelectedAnew) this.#keep(before);
    else this.#add(name, attributes, { isRacy: false, rowDigest: noDigest, setsDigest });
  }

  /** Adds an entry that is not as it was; returns where its flags lie. */
  #add(name: Uint8Array, attributes: SourceAttributes, memory: EntryMemory): number {
    this.#isChanged = true;
    return this.#packer.add(name, attributes, memory);
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
    this.#add(name, made.attributes, { isRacy, rowDigest: digest, setsDigest: setsDigestOf(seen.sets) });
  }

  /** Leaves an entry to the main thread, which knows its other names or has it read in ranges. */
  #leave(name: Uint8Array, seen: Seen): void {
    const { attributes, before, sets } = seen;
    const row = attributes.type === 'file' ? undefined : encodeRow(this.#rowOfSpecial(name, seen));
    const rowDigest = before?.rowDigest.slice() ?? noDigest;
    const memory = { isRacy: true, rowDigest, setsDigest: setsDigestOf(sets) };
    const flagsAt = this.#add(name, attributes, memory);
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

function nameAt(names: SourceNames, place: number): Uint8Array | undefined {
  return place < names.count ? names.nameAt(place) : undefined;
}

/** The one of two names that comes first: `a` where they are equal. */
function firstOf(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (!a || !b) return a ?? b;
  return compareBytes(a, b) <= 0 ? a : b;
}

/** The first place whose name is not before `from`. */
function placeFrom(names: SourceNames, from: Uint8Array): number {
  let low = 0;
  let high = names.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(names.nameAt(middle), from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
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
