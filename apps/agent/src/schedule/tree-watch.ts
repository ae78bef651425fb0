/**
 * Which directories changed since they were last looked at. It only says where to look first: what it misses, the next
 * whole pass finds.
 *
 * Directories are named by their number in the archive; a watch follows its directory wherever it is renamed to. Where the
 * system gives no more watches, the directories that changed longest ago are left to passes in intervals.
 */
import type { LocalIndex, LookedAt, Selection } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import {
  closeDescriptor,
  type Descriptor,
  DirectoryWatcher,
  openChildDirectory,
  openDirectory,
  statDescriptor,
  type WatchEvent,
} from '../filesystem/index.ts';

/** What a watch over a selection needs. */
export type TreeWatchPorts = {
  readonly index: LocalIndex;
  readonly selection: () => Selection;
  /** Something changed, or everything has to be looked at. */
  readonly onChange: () => void;
};

type Watched = { watch: number; activeAtSeconds: number };

/** The watched directories of a device. */
export class TreeWatch {
  readonly #ports: TreeWatchPorts;
  readonly #watched = new Map<number, Watched>();
  /** Directories without a watch, and when each was changed last, in seconds since 1970. */
  readonly #cold = new Map<number, number>();
  readonly #mountPoints = new Map<number, Uint8Array>();
  readonly #dirty = new Set<number>();
  #isBlind = false;
  #watcher: DirectoryWatcher | undefined;

  constructor(ports: TreeWatchPorts) {
    this.#ports = ports;
    this.#watcher = this.#start();
  }

  /** Directories that are watched. */
  get watchCount(): number {
    return this.#watched.size;
  }

  /** Directories that only passes in intervals look at. */
  get coldCount(): number {
    return this.#cold.size;
  }

  get hasDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Whether events were lost since the last call: then only a whole pass knows. */
  takeBlindness(): boolean {
    const wasBlind = this.#isBlind;
    this.#isBlind = false;
    if (!this.#watcher) this.#watcher = this.#start();
    return wasBlind;
  }

  /** The paths of the directories that changed since the last call. */
  takeDirty(): readonly Uint8Array[] {
    const paths = this.#pathsOf(this.#dirty);
    this.#dirty.clear();
    return paths;
  }

  /** The paths of the directories that have no watch; those that are gone are forgotten. */
  coldPaths(): readonly Uint8Array[] {
    for (const number of this.#cold.keys()) if (!this.#pathOf(number)) this.#cold.delete(number);
    return this.#pathsOf(this.#cold.keys());
  }

  /** Watches a directory that is about to be looked at, unless it is watched already. */
  watch({ number, place }: LookedAt): void {
    if (place.names.length === 0) this.#mountPoints.set(number, place.root.mountPoint);
    if (this.#watched.has(number)) return;
    // What cannot be opened is told by the pass, which is about to try the same.
    const mtimeSeconds = withDirectory(
      () => openPlaceOf(place),
      (fd) => this.#add(fd, number),
    );
    if (mtimeSeconds !== undefined && !this.#watched.has(number)) this.#cold.set(number, mtimeSeconds);
  }

  /**
   * Gives the watches of the directories that changed longest ago to those without one that changed since; these are to be
   * looked at again. After a pass over the cold ones, which says when they changed.
   */
  rebalance(): void {
    if (this.#cold.size === 0 || !this.#watcher) return;
    const wanting = [...this.#cold].toSorted(([, a], [, b]) => b - a);
    const coldest = [...this.#watched].toSorted(([, a], [, b]) => a.activeAtSeconds - b.activeAtSeconds);
    for (const [place, [number, changedAtSeconds]] of wanting.entries()) {
      const [victim, watched] = coldest[place] ?? [];
      if (victim === undefined || !watched || watched.activeAtSeconds >= changedAtSeconds) return;
      const at = this.#placeOf(number);
      if (!at) continue;
      this.#watcher.remove(watched.watch);
      this.#watched.delete(victim);
      this.#cold.set(victim, watched.activeAtSeconds);
      withDirectory(
        () => openPlaceOf(at),
        (fd) => this.#add(fd, number),
      );
      this.#dirty.add(number);
      this.#ports.onChange();
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched.clear();
  }

  #start(): DirectoryWatcher | undefined {
    try {
      return new DirectoryWatcher((event) => this.#hear(event));
    } catch (error) {
      // No instance left on this machine, or no inotify: passes in intervals see everything all the same.
      if (error instanceof CodedError) return undefined;
      throw error;
    }
  }

  #hear(event: WatchEvent): void {
    switch (event.kind) {
      case 'change':
        return this.#change(event);
      case 'overflow':
        return this.#blind();
      case 'ended':
        this.#watched.delete(event.directoryId);
        return;
      case 'unwatched':
        // Noted where it was tried.
        return;
      case 'failed':
        this.#watcher?.close();
        this.#watcher = undefined;
        this.#watched.clear();
        return this.#blind();
    }
  }

  #change({ change, directoryId, name }: WatchEvent & { readonly kind: 'change' }): void {
    if (this.#dirty.has(directoryId) || change === 'directory_deleted' || change === 'directory_moved') return;
    if (change === 'unmounted') return this.#blind();
    const path = this.#pathOf(directoryId);
    if (!path) return this.#blind();
    if (name) {
      const { status } = this.#ports.selection().decide(joined(path, name));
      if (status === 'excluded' || status === 'outside') return;
    }
    const watched = this.#watched.get(directoryId);
    if (watched) watched.activeAtSeconds = Date.now() / 1000;
    this.#dirty.add(directoryId);
    this.#ports.onChange();
  }

  #blind(): void {
    this.#isBlind = true;
    this.#ports.onChange();
  }

  /** Watches an open directory if there is a watch left; returns when it was changed last, in seconds since 1970. */
  #add(fd: Descriptor, number: number): number {
    const { mtimeSeconds } = statDescriptor(fd);
    const watch = this.#watcher?.add(fd, number);
    if (watch !== undefined) {
      this.#watched.set(number, { watch, activeAtSeconds: mtimeSeconds });
      this.#cold.delete(number);
    }
    return mtimeSeconds;
  }

  #pathsOf(numbers: Iterable<number>): Uint8Array[] {
    return [...numbers].flatMap((number) => this.#pathOf(number) ?? []);
  }

  #pathOf(directoryId: number): Uint8Array | undefined {
    const place = this.#placeOf(directoryId);
    return place?.names.reduce<Uint8Array>((path, name) => joined(path, name), place.root.mountPoint);
  }

  /** Where a directory lies by what the index knows; one that was moved since is found by the place it was moved to. */
  #placeOf(directoryId: number): Place | undefined {
    const names: Uint8Array[] = [];
    for (let number = directoryId; ;) {
      const directory = this.#ports.index.directory(number);
      if (!directory || directory.parent < 0) return undefined;
      if (directory.parent === 0) {
        const mountPoint = this.#mountPoints.get(number);
        return mountPoint && { root: { mountPoint }, names: names.toReversed() };
      }
      names.push(directory.name);
      number = directory.parent;
    }
  }
}

/** The mount point of a directory's volume, and the names from there to it. */
type Place = { readonly root: { readonly mountPoint: Uint8Array }; readonly names: readonly Uint8Array[] };

function openPlaceOf({ root: { mountPoint }, names }: Place): Descriptor {
  let fd = openDirectory(mountPoint);
  for (const name of names) {
    try {
      const child = openChildDirectory(fd, name);
      closeDescriptor(fd);
      fd = child;
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
  }
  return fd;
}

/** What `work` makes of a directory; undefined where it cannot be opened. */
function withDirectory<T>(open: () => Descriptor, work: (fd: Descriptor) => T): T | undefined {
  let fd: Descriptor | undefined;
  try {
    fd = open();
    return work(fd);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return undefined;
  } finally {
    if (fd !== undefined) closeDescriptor(fd);
  }
}

function joined(directory: Uint8Array, name: Uint8Array): Uint8Array {
  return Buffer.concat(directory.at(-1) === 0x2f ? [directory, name] : [directory, Buffer.from('/'), name]);
}
