import { type Disk, type DiskFile, type FileFacts, type OpenMode } from './disk.ts';

/** One call on a simulated disk, before it is carried out. `number` counts from 1. */
export type DiskCall = {
  readonly number: number;
  readonly operation:
    | 'open'
    | 'read'
    | 'write'
    | 'sync'
    | 'truncate'
    | 'list'
    | 'stat'
    | 'makeDirectory'
    | 'rename'
    | 'link'
    | 'remove'
    | 'syncDirectory';
  readonly path: string;
};

/**
 * What happens to a call instead of what should.
 *
 * It fails with a code (a `write` after `writtenBytes` of it were done); or the machine loses power there and then; or the
 * process is gone, so that the call does nothing, and what was written before waits in the page cache for the next process.
 */
export type DiskFault =
  { readonly code: string; readonly writtenBytes?: number } | { readonly powerCut: true } | { readonly killed: true };

type Change = { readonly write: Uint8Array; readonly position: number } | { readonly truncate: number };

/** A file's bytes as programs see them, as they are on the platters, and what lies between. */
type Inode = { seen: Buffer; stable: Buffer; pending: Change[]; modifiedAtMs: number; readonly identity: string };

/** Names that one call gives or takes; they reach the platters together. */
type NameChange = ReadonlyMap<string, Inode | undefined>;

const tornBytes = 512;

/**
 * A disk in memory that fails as told, for tests and the simulator.
 *
 * A power cut keeps what was synced. Of the rest every 512 bytes of every write, and every name given or taken, survives or
 * not by `chance`. A failed `sync` drops its bytes for good, though they can still be read: a later `sync` succeeds without them.
 */
export class SimulatedDisk implements Disk {
  /** Asked before each call. */
  fault: ((call: DiskCall) => DiskFault | undefined) | undefined;
  #seen = new Map<string, Inode>();
  #stable = new Map<string, Inode>();
  #pendingNames: NameChange[] = [];
  #calls = 0;
  #inodes = 0;
  #life = 0;
  #isOff = false;
  readonly #directories = new Set<string>();
  readonly #chance: () => number;
  readonly #now: () => number;

  /** `chance` gives numbers in [0, 1). */
  constructor(options: { chance?: () => number; now?: () => number } = {}) {
    this.#chance = options.chance ?? (() => 0);
    this.#now = options.now ?? (() => 0);
  }

  /** Calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** Takes the power away: every call fails until `powerOn`, files that are open for good, and the disk is what survived. */
  cutPower(): void {
    this.#life++;
    this.#isOff = true;
    for (const change of this.#pendingNames) if (this.#chance() < 0.5) applyNames(this.#stable, change);
    this.#pendingNames = [];
    for (const inode of new Set(this.#stable.values())) {
      for (const change of inode.pending) inode.stable = survive(inode.stable, change, this.#chance);
      inode.pending = [];
      inode.seen = ownCopy(inode.stable);
    }
    this.#seen = new Map(this.#stable);
  }

  /** The machine starts again. */
  powerOn(): void {
    this.#isOff = false;
  }

  /** Every file and its bytes, as a program would see them. */
  files(): Map<string, Buffer> {
    return new Map([...this.#seen].map(([path, inode]) => [path, Buffer.from(inode.seen)]));
  }

  /** Replaces all files, all of it on the platters. */
  load(files: ReadonlyMap<string, Uint8Array>): void {
    this.#life++;
    this.#pendingNames = [];
    this.#seen = new Map([...files].map(([path, bytes]) => [path, this.#newInode(Buffer.from(bytes))]));
    this.#stable = new Map(this.#seen);
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#begin('open', path);
    let inode = this.#seen.get(path);
    if (mode === 'create') {
      if (inode) throw failure('EEXIST', path);
      inode = this.#newInode(Buffer.alloc(0));
      this.#rename(new Map([[path, inode]]));
    }
    if (!inode) throw failure('ENOENT', path);
    return this.#handle(path, inode, this.#life);
  }

  async list(path: string): Promise<string[]> {
    await this.#begin('list', path);
    const names = new Set<string>();
    for (const known of [...this.#seen.keys(), ...this.#directories]) {
      if (known.startsWith(`${path}/`)) names.add(known.slice(path.length + 1).split('/')[0]!);
    }
    return [...names].toSorted();
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    await this.#begin('stat', path);
    const inode = this.#seen.get(path);
    return inode && { sizeBytes: inode.seen.length, modifiedAtMs: inode.modifiedAtMs, identity: inode.identity };
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#begin('makeDirectory', path);
    this.#directories.add(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#begin('rename', from);
    const inode = this.#seen.get(from);
    if (!inode) throw failure('ENOENT', from);
    this.#rename(
      new Map<string, Inode | undefined>([
        [to, inode],
        [from, undefined],
      ]),
    );
  }

  async link(from: string, to: string): Promise<boolean> {
    await this.#begin('link', from);
    const inode = this.#seen.get(from);
    if (!inode) throw failure('ENOENT', from);
    if (this.#seen.has(to)) throw failure('EEXIST', to);
    this.#rename(new Map([[to, inode]]));
    return true;
  }

  async remove(path: string): Promise<void> {
    await this.#begin('remove', path);
    if (this.#seen.has(path)) this.#rename(new Map([[path, undefined]]));
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#begin('syncDirectory', path);
    const isInside = (change: NameChange) => [...change.keys()].some((name) => parentOf(name) === path);
    for (const change of this.#pendingNames) if (isInside(change)) applyNames(this.#stable, change);
    this.#pendingNames = this.#pendingNames.filter((change) => !isInside(change));
  }

  #newInode(bytes: Buffer): Inode {
    const identity = `${++this.#inodes}`;
    return { seen: ownCopy(bytes), stable: ownCopy(bytes), pending: [], modifiedAtMs: this.#now(), identity };
  }

  #rename(change: NameChange): void {
    applyNames(this.#seen, change);
    this.#pendingNames.push(change);
  }

  /** Counts the call and lets the fault happen; resolves with one that spoils part of a write. */
  async #begin(operation: DiskCall['operation'], path: string, life = this.#life): Promise<DiskFault | undefined> {
    // A real disk never answers in the same turn; callers must not rest on it.
    await Promise.resolve();
    if (this.#isOff || life !== this.#life) throw failure('EIO', path);
    this.#calls++;
    const fault = this.fault?.({ number: this.#calls, operation, path });
    if (!fault) return undefined;
    if ('powerCut' in fault) {
      this.cutPower();
      throw failure('EIO', path);
    }
    if ('killed' in fault) throw failure('EIO', path);
    if (operation === 'write' && fault.writtenBytes) return fault;
    if (operation === 'sync') return fault;
    throw failure(fault.code, path);
  }

  #handle(path: string, inode: Inode, life: number): DiskFile {
    const begin = async (operation: DiskCall['operation']) => {
      const fault = await this.#begin(operation, path, life);
      // The power may have gone since.
      if (life !== this.#life) throw failure('EIO', path);
      return fault;
    };
    const change = (made: Change) => {
      inode.seen = applied(inode.seen, made);
      inode.pending.push(made);
      inode.modifiedAtMs = this.#now();
    };
    return {
      read: async (target, position) => {
        await begin('read');
        const bytes = inode.seen.subarray(position, position + target.length);
        target.set(bytes);
        return bytes.length;
      },
      write: async (bytes, position) => {
        const copy = new Uint8Array(bytes);
        const fault = await begin('write');
        const written = fault && 'code' in fault ? (fault.writtenBytes ?? 0) : copy.length;
        change({ write: copy.subarray(0, written), position });
        if (fault && 'code' in fault) throw failure(fault.code, path);
      },
      sync: async () => {
        const fault = await begin('sync');
        if (!fault) for (const made of inode.pending) inode.stable = applied(inode.stable, made);
        inode.pending = [];
        if (fault && 'code' in fault) throw failure(fault.code, path);
      },
      truncate: async (sizeBytes) => {
        await begin('truncate');
        change({ truncate: sizeBytes });
      },
      size: async () => {
        await begin('stat');
        return inode.seen.length;
      },
      close: async () => {},
    };
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function applyNames(names: Map<string, Inode>, change: NameChange): void {
  for (const [path, inode] of change) {
    if (inode) names.set(path, inode);
    else names.delete(path);
  }
}

function applied(bytes: Buffer, change: Change): Buffer {
  if ('truncate' in change) return resized(bytes, change.truncate);
  const end = change.position + change.write.length;
  const grown = end > bytes.length ? resized(bytes, end) : bytes;
  grown.set(change.write, change.position);
  return grown;
}

/** The same bytes in memory that nothing else shares (Node gives small buffers out of a common pool), with room to grow. */
function ownCopy(bytes: Uint8Array, roomBytes: number = bytes.length): Buffer {
  const copy = Buffer.from(new ArrayBuffer(roomBytes), 0, Math.min(bytes.length, roomBytes));
  copy.set(bytes.subarray(0, copy.length));
  return copy;
}

/** A buffer of that size with the same beginning and zeros behind; memory is doubled, so that appending stays cheap. */
function resized(bytes: Buffer, size: number): Buffer {
  if (size <= bytes.length) return ownCopy(bytes, size);
  const hasRoom = bytes.buffer.byteLength >= size;
  const grown = Buffer.from(hasRoom ? bytes.buffer : ownCopy(bytes, Math.max(4096, size * 2)).buffer, 0, size);
  grown.fill(0, bytes.length);
  return grown;
}

function survive(bytes: Buffer, change: Change, chance: () => number): Buffer {
  if ('truncate' in change) return chance() < 0.5 ? applied(bytes, change) : bytes;
  let kept = bytes;
  for (let done = 0; done < change.write.length;) {
    const position = change.position + done;
    const length = Math.min(tornBytes - (position % tornBytes), change.write.length - done);
    if (chance() < 0.5) kept = applied(kept, { write: change.write.subarray(done, done + length), position });
    done += length;
  }
  return kept;
}
