/** Which directory of the archive a directory of the machine is: known, moved, back again, or new. */
import { CodedError } from '@holdfast/base';
import type { IndexedDirectory } from '../index/directory-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { encodeRow } from '../format/row.ts';
import { compareBytes, namesOf } from './bytes.ts';
import type { DirectoryPlace, FoundDirectory, MountedRoot } from './messages.ts';
import { withPlace } from './open-place.ts';
import { emptySourceAttributes, type Source, type SourceAttributes } from './source.ts';

/** A directory with its number, and the rows that its place needs. */
export type PlacedDirectory = {
  readonly number: number;
  readonly since: number;
  /** Digest of its own row as it was put last. */
  readonly own: Uint8Array;
  /** What the index says of it; undefined for one that begins anew. */
  readonly known?: IndexedDirectory;
  /** Something about it is new, so that everything below is looked at. */
  readonly isNew: boolean;
  readonly rows: readonly PlacedRow[];
};

/** A row that the main thread makes itself. */
export type PlacedRow = { readonly directory: number; readonly name: Uint8Array; readonly row: Uint8Array };

const empty = new Uint8Array();
const leasedAtOnce = 1024;

/** The numbering of directories during one pass. */
export class PassDirectories {
  readonly #index: LocalIndex;
  readonly #source: Source;
  readonly #writerNumber: number;
  /** Directories whose place is gone and that nobody has found elsewhere yet. */
  readonly #gone = new Map<number, IndexedDirectory>();
  readonly #claimed = new Set<number>();
  #nextNumber = 0;
  #leasedTo = 0;

  constructor(index: LocalIndex, source: Source, writerNumber: number) {
    this.#index = index;
    this.#source = source;
    this.#writerNumber = writerNumber;
  }

  /** Settles what a directory found below `parent` is. `nextCommit` is the number its rows will get or a lower one. */
  place(parent: number, found: FoundDirectory, nextCommit: number): PlacedDirectory {
    const there = this.#index.directoryAt(parent, found.name);
    if (there && found.isKnown && !this.#claimed.has(there.number)) {
      const { number, since, own } = there;
      const row = encodeRow({ type: 'directory', sets: found.sets, directoryNumber: number, since });
      const isNew = found.isSelectedAnew;
      return {
        number,
        since,
        own,
        known: there,
        isNew,
        rows: isNew ? [{ directory: parent, name: found.name, row }] : [],
      };
    }
    const moved = this.#findMoved(parent, found);
    if (moved) return this.#take(moved, parent, found);
    const isBack = there !== undefined && !found.isReplacing && !this.#claimed.has(there.number);
    const again = isBack ? there.number : this.#index.formerDirectoryAt(parent, found.name);
    const number = again !== undefined && !this.#claimed.has(again) ? again : this.#newNumber();
    this.#claimed.add(number);
    const row = encodeRow({ type: 'directory', sets: found.sets, directoryNumber: number, since: nextCommit });
    const rows = [{ directory: parent, name: found.name, row }];
    return { number, since: nextCommit, own: empty, isNew: true, rows };
  }

  /** A name below `parent` is gone. Returns whether its absence must be put. */
  lose(parent: number, name: Uint8Array, wasDirectory: boolean): boolean {
    if (!wasDirectory) return true;
    const there = this.#index.directoryAt(parent, name);
    if (!there || this.#claimed.has(there.number)) return false;
    this.#gone.set(there.number, there);
    return true;
  }

  /** The directories that were not found anywhere: they hang nowhere from now on. */
  takeGone(): number[] {
    const numbers = [...this.#gone.keys()];
    this.#gone.clear();
    return numbers;
  }

  /** Where a directory lies on the machine, by what the index knows; undefined when it hangs nowhere. */
  placeOf(number: number, rootOf: (volume: number) => MountedRoot | undefined): DirectoryPlace | undefined {
    const names: Uint8Array[] = [];
    for (
      let directory = this.#index.directory(number);
      directory;
      directory = this.#index.directory(directory.parent)
    ) {
      if (directory.parent < 0) return undefined;
      if (directory.parent === 0) {
        const root = rootOf(directory.number);
        return root && { root, names: names.toReversed() };
      }
      names.push(directory.name);
    }
    return undefined;
  }

  /** The known directory that is this one at another place, if it is no longer there. */
  #findMoved(parent: number, found: FoundDirectory): IndexedDirectory | undefined {
    const { device, inode } = found.attributes;
    const birth = birthOf(found.attributes);
    return this.#index.directoriesByInode(device, inode).find((candidate) => {
      if (this.#claimed.has(candidate.number) || candidate.parent <= 0 || candidate.birth !== birth) return false;
      if (candidate.parent === parent && compareBytes(candidate.name, found.name) === 0) return false;
      return this.#gone.has(candidate.number) || !this.#isStillThere(candidate);
    });
  }

  #isStillThere(candidate: IndexedDirectory): boolean {
    const now = this.statAt(candidate);
    return now !== undefined && now.inode === candidate.inode && now.device === candidate.device;
  }

  /** What has this directory's place now; undefined when nothing has, or the way there is gone. */
  statAt(directory: IndexedDirectory): SourceAttributes | undefined {
    const place = this.placeOf(directory.number, this.rootOf);
    if (!place) return undefined;
    const above = { root: place.root, names: place.names.slice(0, -1) };
    try {
      return withPlace(this.#source, above, (fd) => this.#source.statAt(fd, directory.name, emptySourceAttributes()));
    } catch (error) {
      // Whatever the system puts in the way, the directory cannot be seen there.
      if (error instanceof CodedError) return undefined;
      throw error;
    }
  }

  /** Set by the pass: where a volume is mounted now. */
  rootOf: (volume: number) => MountedRoot | undefined = () => undefined;

  #take(moved: IndexedDirectory, parent: number, found: FoundDirectory): PlacedDirectory {
    const wasGone = this.#gone.delete(moved.number);
    this.#claimed.add(moved.number);
    const { number, since, own } = moved;
    const row = encodeRow({ type: 'directory', sets: found.sets, directoryNumber: number, since });
    const rows = [{ directory: parent, name: found.name, row }];
    // If something else has the old name, its own row speaks for it.
    if (!wasGone && this.statAt(moved) === undefined) {
      rows.push({ directory: moved.parent, name: moved.name, row: encodeRow({ type: 'absent', absence: 'gone' }) });
    }
    return { number, since, own, known: moved, isNew: true, rows };
  }

  #newNumber(): number {
    if (this.#nextNumber === this.#leasedTo) {
      this.#nextNumber = this.#index.lease('directories', leasedAtOnce);
      this.#leasedTo = this.#nextNumber + leasedAtOnce;
    }
    return this.#writerNumber * 2 ** 32 + ++this.#nextNumber;
  }
}

/** What tells an inode's lives apart. */
export function birthOf(attributes: SourceAttributes): string {
  return attributes.birthKnown ? `${attributes.birthSeconds}.${attributes.birthNanoseconds}` : '';
}

/** The names of a path below a mount point. */
export function namesBelow(path: Uint8Array, mountPoint: Uint8Array): Uint8Array[] {
  return namesOf(path).slice(namesOf(mountPoint).length);
}
