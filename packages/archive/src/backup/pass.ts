/**
 * One pass over what is selected: scan directories, follow what changed, gather rows, commit now and then.
 *
 * Only places and numbers are kept here; bytes go from the workers to the destinations. What a commit makes true is
 * applied when it is acknowledged, so a pass that ends anywhere is simply followed by another.
 */
import { CodedError } from '@holdfast/base';
import { release } from '../crypto/release.ts';
import { encodeRow } from '../format/row.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { type IndexedDirectory, isSameDirectory } from '../index/directory-table.ts';
import type { SeenNames } from '../index/entry-table.ts';
import { compareBytes, joinPath } from './bytes.ts';
import type { PendingRow } from './commit-writer.ts';
import { digestOf, metadataOf } from './make-row.ts';
import type { DirectoryPlace, FoundDirectory, LostName, MountedRoot, Reply, ScanJob, Scanned } from './messages.ts';
import { pathOfPlace, withPlace } from './open-place.ts';
import { unpackLost, unpackRows } from './packed-rows.ts';
import { birthOf, namesBelow, PassDirectories } from './pass-directories.ts';
import { LongFiles } from './partial-rows.ts';
import { type LeftInDirectory, PassFiles } from './pass-files.ts';
import type { PassPorts } from './pass-ports.ts';
import { findRoots, type MissingInclude, namesOnTheWay, type RootVolume } from './pass-roots.ts';
import { problemOf } from './problem.ts';
import { emptySourceAttributes, type SourceAttributes } from './source.ts';
import { bytesOf, emptyTruths, lastOfEach, type Truths } from './truths.ts';
import type { NewJob } from './worker-pool.ts';

const noName = new Uint8Array();

type Task = Omit<ScanJob, 'job' | 'nowMs'> & {
  readonly volume: RootVolume;
  /** What the index says of it. */
  readonly known: IndexedDirectory | undefined;
  /** Of one that is new: what was seen of it without opening it. */
  readonly attributes?: SourceAttributes;
};

/** A directory whose own directories are found; without a path it is what holds the volumes. */
type ParentDirectory = {
  readonly directory: number;
  readonly path: Uint8Array | undefined;
  readonly volume: RootVolume;
  readonly names: readonly Uint8Array[];
};

/** Bytes of rows and entries that may wait for a commit before no more directories are begun. */
const mostPendingBytes = 4_000_000;

/** A pass over the whole selection, or over some directories of it. */
export class Pass {
  readonly #ports: PassPorts;
  readonly #directories: PassDirectories;
  readonly #files: PassFiles;
  readonly #longFiles = new LongFiles();
  readonly #mounted = new Map<number, MountedRoot>();
  readonly #queue: Task[] = [];
  readonly #visited = new Set<number>();
  readonly #underWay = new Set<Promise<void>>();
  /** What each worker's replies made since its last flush: it may be committed once the worker has flushed. */
  readonly #open: Truths[];
  readonly #truthsOf = new WeakMap<Reply, Truths>();
  /** What workers have flushed, and no commit has yet. */
  #flushed: Truths[] = [];
  /** Names all of whose files are stored by now: that becomes known with a commit that begins later. */
  #settled: SeenNames[] = [];
  /** Rows of files with several names: all of a group in one commit, the pass's last. */
  readonly #linkedRows: Truths = emptyTruths();
  /** Bytes of what waits for a commit, but for what waits for the last. */
  #pendingBytes = 0;
  #isWhole = true;
  #isCommitting = false;
  #wake: () => void = () => {};
  #failure: { readonly error: unknown } | undefined;

  constructor(ports: PassPorts) {
    this.#ports = ports;
    this.#open = Array.from({ length: ports.pool.size }, emptyTruths);
    const { index, source, writerNumber, pool, clock } = ports;
    this.#directories = new PassDirectories(index, source, writerNumber);
    this.#directories.rootOf = (volume) => this.#mounted.get(volume);
    const statAt = (place: DirectoryPlace, name: Uint8Array) => this.#statAt(place, name);
    const ask = (job: NewJob) => pool.ask(job);
    const longFiles = this.#longFiles;
    this.#files = new PassFiles({ ask, statAt, index, writerNumber, nowMs: clock.now(), longFiles });
  }

  /** Looks at everything that is selected. Returns the includes that were not there. */
  async runWhole(): Promise<readonly MissingInclude[]> {
    const { volumes, missing } = this.#findRoots();
    for (const volume of volumes) this.#enqueueVolume(volume);
    await this.#drain();
    return missing;
  }

  /** Looks at these directories (absolute paths) and at what is new below them. */
  async runSome(paths: readonly Uint8Array[]): Promise<readonly MissingInclude[]> {
    this.#isWhole = false;
    const { volumes, missing } = this.#findRoots();
    for (const volume of volumes) {
      const number = this.#numberOfVolume(volume);
      if (number === undefined) {
        this.#enqueueVolume(volume);
        continue;
      }
      this.#mounted.set(number, volume.root);
      for (const path of paths) this.#enqueuePath(volume, number, path);
    }
    await this.#drain();
    return missing;
  }

  /** The volumes on which there is something to look at, and the includes that are not there. */
  #findRoots(): { volumes: readonly RootVolume[]; missing: readonly MissingInclude[] } {
    const { source, selection, activeSets } = this.#ports;
    const { volumes, missing } = findRoots(source, selection.roots());
    if (!activeSets) return { volumes, missing };
    const isMeant = (path: Uint8Array) => selection.concerns(path, activeSets);
    return {
      volumes: volumes.filter(({ includes, missing: away }) => [...includes, ...away].some(isMeant)),
      missing: missing.filter(({ path }) => isMeant(path)),
    };
  }

  /** Hears each reply in the order its worker sent it, before whoever asked: what a worker flushed can be committed. */
  hear(worker: number, reply: Reply): void {
    const truths = this.#open[worker]!;
    if (reply.kind === 'flushed') {
      this.#ports.counts.newBytes += reply.newBytes;
      truths.blocks.push(...reply.fresh);
      truths.records.push(...reply.owned);
      this.#flushed.push(truths);
      this.#open[worker] = emptyTruths();
    } else {
      this.#truthsOf.set(reply, truths);
    }
    this.#wake();
  }

  /** Has the pass see whether a commit is due. */
  wake(): void {
    this.#wake();
  }

  #numberOfVolume(volume: RootVolume): number | undefined {
    return this.#ports.index.directoryAt(0, Buffer.from(volume.identifier))?.number;
  }

  #enqueueVolume(volume: RootVolume): void {
    const name = Buffer.from(volume.identifier);
    const attributes = this.#statRoot(volume);
    const known = this.#ports.index.directoryAt(0, name);
    const sets = this.#setsOf(volume.root.mountPoint);
    const isKnown = known !== undefined;
    const found: FoundDirectory = { name, attributes, sets, isKnown, isReplacing: false, isSelectedAnew: false };
    const parent = { directory: 0, path: undefined, volume, names: [] };
    this.#enqueue(parent, [found], this.#open[0]!);
  }

  #setsOf(path: Uint8Array): readonly number[] {
    const decision = this.#ports.selection.decide(path);
    return decision.status === 'selected' ? decision.sets : [];
  }

  #enqueuePath(volume: RootVolume, volumeNumber: number, path: Uint8Array, isForLinks = false): void {
    const { index, selection, activeSets } = this.#ports;
    let directory = index.directory(volumeNumber);
    const names: Uint8Array[] = [];
    let reached = volume.root.mountPoint;
    for (const name of directory ? namesBelow(path, volume.root.mountPoint) : []) {
      const child = index.directoryAt(directory!.number, name);
      if (!child) break;
      directory = child;
      names.push(name);
      reached = joinPath(reached, name);
    }
    if (!directory || this.#visited.has(directory.number)) return;
    if (activeSets && !isForLinks && !selection.concerns(reached, activeSets)) return;
    const { status } = selection.decide(reached);
    if (status !== 'selected' && status !== 'on_the_way') return;
    const where = { volume, names, path: reached, sets: this.#setsOf(reached), isForLinks };
    this.#push(where, { ...directory, known: directory }, directory.parent, directory.name);
  }

  #enqueue(parent: ParentDirectory, directories: readonly FoundDirectory[], truths: Truths): void {
    if (directories.length === 0) return;
    const nextCommit = this.#ports.index.head().number + (this.#isCommitting ? 2 : 1);
    // The queue is a stack: the first name is to come out first.
    for (const found of directories.toReversed()) this.#enqueueOne(parent, found, truths, nextCommit);
  }

  #enqueueOne(parent: ParentDirectory, found: FoundDirectory, truths: Truths, nextCommit: number): void {
    const placed = this.#directories.place(parent.directory, found, nextCommit);
    for (const row of placed.rows) this.#addRow(truths, row);
    const isVolume = parent.path === undefined;
    if (isVolume) this.#mounted.set(placed.number, parent.volume.root);
    if (!this.#isWhole && !placed.isNew && !isVolume) return;
    const path = parent.path === undefined ? parent.volume.root.mountPoint : joinPath(parent.path, found.name);
    const names = isVolume ? [] : [...parent.names, found.name];
    const { sets, attributes } = found;
    this.#push({ volume: parent.volume, names, path, sets, attributes }, placed, parent.directory, found.name);
  }

  #push(
    where: {
      volume: RootVolume;
      names: readonly Uint8Array[];
      path: Uint8Array;
      sets: readonly number[];
      isForLinks?: boolean;
      attributes?: SourceAttributes;
    },
    directory: { number: number; since: number; own: Uint8Array; known?: IndexedDirectory },
    parent: number,
    name: Uint8Array,
  ): void {
    if (this.#visited.has(directory.number)) return;
    this.#visited.add(directory.number);
    const { volume, names, path, sets, isForLinks = false, attributes } = where;
    this.#queue.push({
      kind: 'scan',
      place: { root: volume.root, names },
      directory: directory.number,
      since: directory.since,
      parent,
      name,
      isVolume: parent === 0,
      sets,
      isForLinks,
      ...namesOnTheWay(volume, path),
      isKnown: directory.known !== undefined,
      own: directory.own,
      volume,
      known: directory.known,
      ...(attributes && { attributes }),
    });
  }

  async #drain(): Promise<void> {
    for (;;) {
      while (this.#queue.length > 0 && this.#hasRoom) this.#start(this.#queue.pop()!);
      if (this.#failure) throw this.#failure.error;
      if (!this.#isCommitting && this.#ports.isCommitDue({ pendingBytes: this.#pendingBytes }))
        this.#track(this.#commit([]));
      if (this.#underWay.size === 0 && this.#queue.length === 0) break;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    this.#flushed.push(this.#linkedRows);
    await this.#commit(this.#directories.takeGone(), this.#ports.settings);
  }

  get #hasRoom(): boolean {
    return this.#ports.pool.hasRoom && !this.#failure && this.#pendingBytes < mostPendingBytes;
  }

  #start(task: Task): void {
    if (!task.goesOn) this.#ports.onDirectory({ number: task.directory, place: task.place });
    this.#track(this.#scan(task));
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => {
        this.#underWay.delete(tracked);
        this.#wake();
      });
    this.#underWay.add(tracked);
  }

  async #scan(task: Task): Promise<void> {
    const { volume, known: _known, attributes: _attributes, ...job } = task;
    const reply = await this.#ports.pool.ask({ ...job, nowMs: this.#ports.clock.now() });
    if (reply.kind === 'failed') {
      // What could not be read stays as it was; the parent says so if it is gone.
      this.#ports.onProblem({ path: pathOfPlace(task.place), code: reply.code, message: reply.message });
      if (task.own.length === 0 && !task.only) this.#settleUnread(task);
      return;
    }
    if (reply.kind === 'scanned') this.#take(task, volume, reply);
  }

  #take(task: Task, volume: RootVolume, reply: Scanned): void {
    const { counts, onProblem, onProgress } = this.#ports;
    const path = pathOfPlace(task.place);
    if (!task.goesOn) counts.directories++;
    counts.files += reply.seenFiles;
    counts.selectedBytes += reply.seenBytes;
    for (const problem of reply.problems) onProblem(problem);
    const truths = this.#truthsOf.get(reply)!;
    for (const { name, row } of unpackRows(reply.rows)) this.#addRow(truths, { directory: task.directory, name, row });
    for (const lost of unpackLost(reply.lost)) this.#lose(task.directory, lost, truths);
    const parent = { directory: task.directory, path, volume, names: task.place.names };
    const known = this.#settle(task, reply, truths);
    // The queue is a stack: what is below these names comes first, so that no more of them wait than one job finds.
    if (reply.next) this.#goOn(task, known, reply.next);
    this.#enqueue(parent, reply.directories, truths);
    for (const mount of reply.mounts) this.#enqueueMount(mount, task.sets);
    onProgress();
  }

  #goOn(task: Task, known: IndexedDirectory, from: Uint8Array): void {
    const { device, inode, own } = known;
    this.#queue.push({ ...task, own, known, goesOn: { from, device, inode } });
  }

  #lose(directory: number, lost: LostName, truths: Truths): void {
    const isAbsent = this.#directories.lose(directory, lost.name, lost.wasDirectory);
    if (!lost.wasDirectory) this.#ports.index.removeLink(directory, lost.name);
    if (!isAbsent || lost.isReplaced) return;
    const row = encodeRow({ type: 'absent', absence: lost.reason });
    this.#addRow(truths, { directory, name: lost.name, row });
  }

  /** A file system mounted inside a selected directory is a volume of its own. */
  #enqueueMount(path: Uint8Array, sets: readonly number[]): void {
    const { source } = this.#ports;
    if (sets.length === 0) return;
    try {
      const { volumes } = findRoots(source, [path]);
      // A folder on the way may have been exchanged since: then the path is on the volume that holds it.
      for (const volume of volumes) if (compareBytes(volume.root.mountPoint, path) === 0) this.#enqueueVolume(volume);
    } catch (error) {
      this.#ports.onProblem(problemOf(path, error));
    }
  }

  /** A new directory that cannot be read is known by what was seen of it, or it would be new whenever it is looked at. */
  #settleUnread({ attributes, sets, since, parent, name, directory }: Task): void {
    if (!attributes) return;
    const owner = this.#ports.source.ownerNames(attributes.uid, attributes.gid);
    const place = { directoryNumber: parent, name };
    const row = encodeRow({ type: 'directory', sets, ...metadataOf(attributes, owner), since, parent: place });
    this.#addRow(this.#linkedRows, { directory, name: new Uint8Array(), row });
    const { device, inode } = attributes;
    const known = { number: directory, parent, name, since, device, inode, birth: birthOf(attributes) };
    this.#linkedRows.directories.push({ ...known, own: digestOf(row) });
  }

  /** Makes the directory and what was seen of its names known, with the commit of their rows. */
  #settle(task: Task, reply: Scanned, truths: Truths): IndexedDirectory {
    const { place, directory, goesOn } = task;
    const known: IndexedDirectory = {
      number: directory,
      parent: task.parent,
      name: task.name,
      since: task.since,
      device: reply.attributes.device,
      inode: reply.attributes.inode,
      birth: birthOf(reply.attributes),
      own: reply.own,
    };
    if (!task.known || !isSameDirectory(task.known, known)) truths.directories.push(known);
    const { entries, next, left } = reply;
    if (!entries) return known;
    const seen = { directory, from: goesOn?.from ?? noName, ...(next && { until: next }), entries };
    if (left.length === 0) {
      this.#addSeen(truths.seen, seen);
      return known;
    }
    // Until these are stored they are known as what has to be looked at again: a name that is gone by then is missed.
    this.#addSeen(truths.seen, { ...seen, entries: entries.slice() });
    const storing = left.map((file) => this.#storeLeft({ directory, place, left: file, entries }));
    // The rows of linked files wait for the last commit, and with them that they are stored.
    const isLinked = left.some((file) => file.attributes.links > 1);
    const target = isLinked ? this.#linkedRows.seen : this.#settled;
    this.#track(Promise.all(storing).then(() => this.#addSeen(target, seen)));
    return known;
  }

  async #storeLeft(file: LeftInDirectory): Promise<void> {
    const stored = await this.#files.store(file);
    if (stored.status === 'problem') return this.#ports.onProblem(stored.problem);
    const { linkGroup, row, reply } = stored;
    const { directory, left } = file;
    const target = (linkGroup === undefined && reply && this.#truthsOf.get(reply)) || this.#linkedRows;
    if (row) this.#addRow(target, { directory, name: left.name, row });
    if (linkGroup === undefined) return;
    const { device, inode } = left.attributes;
    target.links.push({ device, inode, directory, name: left.name, linkGroup });
    if (!this.#isWhole || this.#ports.activeSets) this.#visitOtherNames(device, inode);
  }

  /** A file with several names changed: look at the others, so that the group changes in one commit. */
  #visitOtherNames(device: number, inode: bigint): void {
    for (const link of this.#ports.index.links(device, inode)) {
      const place = this.#directories.placeOf(link.directory, (volume) => this.#mounted.get(volume));
      if (!place || this.#visited.has(link.directory)) continue;
      const volume = [...this.#mounted].find(([, root]) => root === place.root);
      if (!volume) continue;
      const above = { identifier: '', root: place.root, includes: [pathOfPlace(place)], missing: [] };
      this.#enqueuePath(above, volume[0], pathOfPlace(place), true);
    }
  }

  #addRow(target: Truths, row: PendingRow): void {
    target.rows.push(row);
    if (target !== this.#linkedRows) this.#pendingBytes += bytesOf(row);
    this.#ports.counts.changedNames++;
  }

  #addSeen(target: SeenNames[], seen: SeenNames): void {
    target.push(seen);
    if (target !== this.#linkedRows.seen) this.#pendingBytes += seen.entries.length;
  }

  /** Flushes the workers, without stopping them, and commits what they had made by then. */
  async #commit(detached: readonly number[], entries: readonly MapEntry[] = []): Promise<void> {
    this.#isCommitting = true;
    try {
      const settled = this.#settled.splice(0);
      await this.#ports.pool.flush();
      const truths = this.#flushed.splice(0);
      const rows = lastOfEach(truths.flatMap((part) => part.rows));
      const directories = truths.flatMap((part) => part.directories);
      const seen = [...truths.flatMap((part) => part.seen), ...settled];
      const links = truths.flatMap((part) => part.links);
      const blocks = truths.flatMap((part) => part.blocks);
      const records = truths.flatMap((part) => part.records);
      await this.#ports.spread(records);
      this.#pendingBytes -= seen.reduce((sum, { entries }) => sum + entries.length, 0);
      this.#pendingBytes -= truths.flatMap((part) => part.rows).reduce((sum, row) => sum + bytesOf(row), 0);
      const partial = this.#longFiles.partialRows(blocks, rows, this.#ports.own);
      if (partial.length > 0) this.#ports.flushOwn();
      await this.#ports.commits.write({
        rows: [...rows, ...partial],
        entries,
        directories,
        seen,
        links,
        blocks: blocks.map(({ packed }) => packed),
        records,
        detached,
      });
      // Nobody else has what one scan of a large directory sent.
      for (const { row, name } of rows) [row, name].forEach(release);
      for (const { entries } of seen) release(entries);
      await this.#ports.afterCommit();
      this.#ports.onProgress();
    } finally {
      this.#isCommitting = false;
    }
  }

  #statRoot({ root }: RootVolume): SourceAttributes {
    const { source } = this.#ports;
    return withPlace(source, { root, names: [] }, (fd) => source.statDescriptor(fd, emptySourceAttributes()));
  }

  #statAt(place: DirectoryPlace, name: Uint8Array): SourceAttributes | undefined {
    const { source } = this.#ports;
    try {
      return withPlace(source, place, (fd) => source.statAt(fd, name, emptySourceAttributes()));
    } catch (error) {
      // Whatever the system puts in the way, the file cannot be seen any more.
      if (error instanceof CodedError) return undefined;
      throw error;
    }
  }
}
