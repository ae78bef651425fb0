import { statfs } from 'node:fs/promises';
import type { Clock } from '@holdfast/base';
import { databaseCode } from './postgres-errors.ts';
import type { Log } from './log.ts';

/** Whether there is room for more than little: false while a disk is nearly full. */
export type HasRoom = () => Promise<boolean>;

/** Below this nothing is taken in: what is left is for the database, and for requests that add little. */
const LOW_BYTES = 64 * 1024 * 1024;
/** From here on it is taken in again: not the same figure, or each request would change the answer. */
const ENOUGH_BYTES = 80 * 1024 * 1024;
const FRESH_MS = 100;

/**
 * Looks at the disks of some folders, at most ten times a second; a folder that is not there yet has room.
 *
 * A database that finds its disk full in the middle of a transaction fails it; one that finds it so while it writes its
 * log ends. So what adds much is refused before.
 */
export function watchRoom(
  folders: readonly string[],
  { clock, log, freeBytes = freeBytesOf }: { clock: Clock; log: Log; freeBytes?: typeof freeBytesOf },
): HasRoom {
  let isFull = false;
  let looking: { readonly untilMs: number; readonly outcome: Promise<boolean> } | undefined;
  const look = async () => {
    const free = await Promise.all(folders.map(freeBytes));
    const leastBytes = Math.min(...free);
    const wasFull = isFull;
    isFull = leastBytes < (wasFull ? ENOUGH_BYTES : LOW_BYTES);
    if (isFull && !wasFull) log.error({ freeBytes: leastBytes }, 'the disk is nearly full: nothing more is taken in');
    if (!isFull && wasFull) log.info({ freeBytes: leastBytes }, 'there is room on the disk again');
    return !isFull;
  };
  return () => {
    const nowMs = clock.monotonic();
    if (!looking || looking.untilMs <= nowMs) looking = { untilMs: nowMs + FRESH_MS, outcome: look() };
    return looking.outcome;
  };
}

/** Bytes that an unprivileged user may still write to the disk of a folder; without end where there is no such folder. */
export async function freeBytesOf(folder: string): Promise<number> {
  const facts = await statfs(folder).catch(() => undefined);
  return facts ? facts.bavail * facts.bsize : Number.POSITIVE_INFINITY;
}

const noRoom: readonly string[] = ['log.disk_full', 'request.no_room', '53100', 'ENOSPC', 'EDQUOT'];

/** Whether an error, or what caused it, says that a disk is full: the log's, the database's or the system's word for it. */
export function saysNoRoom(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (noRoom.includes(databaseCode(each) ?? '')) return true;
  }
  return false;
}
