/**
 * Watching directories by inotify: one watch per directory, none per file, names as raw bytes.
 *
 * A watch follows its directory wherever it is renamed to; callers name directories by a number of their own. Events say
 * where to look first: after `overflow`, and for directories named by `unwatched`, only a scan knows.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { node as KoffiNode } from 'koffi';
import { fileError, fileErrors } from './errors.ts';
import { bulkBytes, bulkOffset, fail, lastErrno, nameOffset, native, putDescriptorPath, scratch } from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** What happened to an entry of a watched directory, or (the last three) to the directory itself. */
export type WatchChange =
  | 'created'
  | 'deleted'
  /** A file that was open for writing was closed. */
  | 'written'
  /** Mode, owner, times, links or extended attributes. */
  | 'attributes'
  | 'moved_from'
  | 'moved_to'
  | 'directory_deleted'
  | 'directory_moved'
  | 'unmounted';

/** An event, in the order of the kernel's queue. */
export type WatchEvent =
  | {
      readonly kind: 'change';
      readonly change: WatchChange;
      readonly directoryId: number;
      /** The entry; undefined where the directory itself is meant. */
      readonly name: Uint8Array | undefined;
      /** The entry is a directory. */
      readonly isDirectory: boolean;
      /** Pairs `moved_from` with the `moved_to` that follows at once; 0 else. Only one of the two comes when the other end is not watched. */
      readonly cookie: number;
    }
  /** The kernel dropped events: everything watched must be scanned. */
  | { readonly kind: 'overflow' }
  /** The watch of this directory ended: it was deleted, unmounted or `remove`d. Its watch number is free. */
  | { readonly kind: 'ended'; readonly directoryId: number }
  /** No watch was left for these directories, which are not watched: remove colder ones, or scan these. */
  | { readonly kind: 'unwatched'; readonly directoryIds: readonly number[]; readonly watchCount: number }
  /** Reading failed; nothing follows but what `close` leaves. */
  | { readonly kind: 'failed'; readonly error: Error };

/** Watches of one listener. Keeps the event loop alive until closed, unless `unref` is called. */
export class DirectoryWatcher {
  readonly #fd: Descriptor;
  readonly #poll: KoffiNode.PollHandle;
  readonly #onEvent: (event: WatchEvent) => void;
  /** Watch number → directory. The kernel counts numbers up, so that one is not used again soon. */
  readonly #directoryOf = new Map<number, number>();
  #unwatched: number[] = [];
  #closed = false;
  #reading = false;

  /** Starts listening; `onEvent` is called on this thread's event loop and must not throw. Throws `files.too_many_open` over `max_user_instances`. */
  constructor(onEvent: (event: WatchEvent) => void) {
    const { libc, koffi } = native();
    this.#onEvent = onEvent;
    this.#fd = libc.inotify_init1(nonBlocking | closeOnExec);
    if (this.#fd < 0) fail('inotify_init1');
    try {
      this.#poll = koffi.node.poll(this.#fd, { readable: true }, () => this.#onReadable());
    } catch (error) {
      libc.close(this.#fd);
      throw error;
    }
  }

  /** How many directories are watched. */
  get watchCount(): number {
    return this.#directoryOf.size;
  }

  /**
   * Watches an open directory, which may be closed afterwards, under the caller's number for it. Watching it again
   * gives the same watch the new number.
   *
   * @returns the watch, for `remove`; undefined where the kernel has none left: then `unwatched` names it
   */
  add(directoryFd: Descriptor, directoryId: number): number | undefined {
    if (this.#closed) throw fileErrors.bad_descriptor({ reason: 'the watcher is closed' });
    const watch = native().libc.inotify_add_watch(this.#fd, putDescriptorPath(directoryFd, nameOffset), mask);
    if (watch >= 0) {
      this.#directoryOf.set(watch, directoryId);
      return watch;
    }
    const errno = lastErrno();
    if (errno !== constants.errno.ENOSPC && errno !== constants.errno.ENOMEM) {
      throw fileError(errno, 'inotify_add_watch');
    }
    if (this.#unwatched.push(directoryId) === 1) setImmediate(() => this.#reportUnwatched());
    return undefined;
  }

  /** Ends a watch; `ended` follows once the events before it are read. Nothing happens where it ended already. */
  remove(watch: number): void {
    if (this.#closed || !this.#directoryOf.has(watch)) return;
    if (native().libc.inotify_rm_watch(this.#fd, watch) !== 0 && lastErrno() !== constants.errno.EINVAL) {
      fail('inotify_rm_watch');
    }
  }

  /** Lets the process end although this is listening. */
  unref(): void {
    this.#poll.unref();
  }

  /** Ends all watches at once and listens no more; no event follows. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.close();
    this.#directoryOf.clear();
    this.#unwatched = [];
    native().libc.close(this.#fd);
  }

  #reportUnwatched(): void {
    const directoryIds = this.#unwatched;
    this.#unwatched = [];
    if (!this.#closed && directoryIds.length > 0) {
      this.#onEvent({ kind: 'unwatched', directoryIds, watchCount: this.#directoryOf.size });
    }
  }

  /**
   * koffi calls this outside of Node's callback scope, after which no promise goes on until something else happens on
   * the loop. An immediate of the same turn is an ordinary callback.
   */
  #onReadable(): void {
    if (this.#reading) return;
    this.#reading = true;
    setImmediate(() => {
      this.#reading = false;
      if (!this.#closed) this.#readReady();
    });
  }

  /** Reads a bounded stretch of the queue; the loop calls again while there is more. */
  #readReady(): void {
    for (let reads = 0; reads < mostReadsAtOnce && !this.#closed; reads++) {
      const length = native().libc.read(this.#fd, native().address + bulkOffset, bulkBytes);
      if (length <= 0) {
        const errno = length < 0 ? lastErrno() : constants.errno.EIO;
        if (errno !== constants.errno.EAGAIN && errno !== constants.errno.EINTR) this.#giveUp(errno);
        return;
      }
      // A listener may call back into this module, which overwrites the scratch memory.
      this.#dispatch(scratch.slice(bulkOffset, bulkOffset + length));
    }
  }

  #overflow(): void {
    this.#onEvent({ kind: 'overflow' });
    if (this.#closed) return;
    // The end of some watches can be among what was dropped; the kernel lists those that are left.
    const left = watchesOf(this.#fd);
    for (const [watch, directoryId] of this.#directoryOf) {
      if (left.has(watch)) continue;
      this.#directoryOf.delete(watch);
      this.#onEvent({ kind: 'ended', directoryId });
    }
  }

  #giveUp(errno: number): void {
    this.#poll.stop();
    this.#onEvent({ kind: 'failed', error: fileError(errno, 'read') });
  }

  /** Offsets are those of `struct inotify_event`: watch, mask, cookie, length, name. */
  #dispatch(batch: Uint8Array): void {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
    for (let at = 0; at < batch.length && !this.#closed;) {
      const watch = view.getInt32(at, true);
      const bits = view.getUint32(at + 4, true);
      const cookie = view.getUint32(at + 8, true);
      const nameBytes = view.getUint32(at + 12, true);
      const padded = batch.subarray(at + 16, at + 16 + nameBytes);
      at += 16 + nameBytes;
      if ((bits & queueOverflow) !== 0) this.#overflow();
      else this.#tell(watch, bits, cookie, padded);
    }
  }

  #tell(watch: number, bits: number, cookie: number, padded: Uint8Array): void {
    const directoryId = this.#directoryOf.get(watch);
    if (directoryId === undefined) return;
    if ((bits & ignored) !== 0) {
      this.#directoryOf.delete(watch);
      this.#onEvent({ kind: 'ended', directoryId });
      return;
    }
    const change = changes.find(([bit]) => (bits & bit) !== 0)?.[1];
    if (change === undefined) return;
    const zero = padded.indexOf(0);
    const name = padded.length === 0 ? undefined : padded.subarray(0, zero < 0 ? padded.length : zero);
    this.#onEvent({ kind: 'change', change, directoryId, name, isDirectory: (bits & isDirectory) !== 0, cookie });
  }
}

/** The watches of an inotify descriptor, as proc_pid_fdinfo(5) lists them. */
function watchesOf(fd: Descriptor): ReadonlySet<number> {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return new Set(
    Array.from(text.matchAll(/^inotify wd:([0-9a-f]+) /gm), (match) => Number.parseInt(match[1] ?? '', 16)),
  );
}

const nonBlocking = 0o4000;
const closeOnExec = 0o2_000_000;
/** At most so many times 256 KiB of events before other work of the thread gets its turn. */
const mostReadsAtOnce = 4;

const changes: readonly (readonly [bit: number, change: WatchChange])[] = [
  [0x8, 'written'],
  [0x100, 'created'],
  [0x200, 'deleted'],
  [0x40, 'moved_from'],
  [0x80, 'moved_to'],
  [0x4, 'attributes'],
  [0x400, 'directory_deleted'],
  [0x800, 'directory_moved'],
  [0x2000, 'unmounted'],
];
const onlyDirectory = 0x0100_0000;
const notUnlinked = 0x0400_0000;
const isDirectory = 0x4000_0000;
const ignored = 0x8000;
const queueOverflow = 0x4000;
const unmount = 0x2000;
const mask = changes.reduce((bits, [bit]) => (bit === unmount ? bits : bits | bit), 0) | onlyDirectory | notUnlinked;
