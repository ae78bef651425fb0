import { systemClock, systemRandom } from '@holdfast/base';
import { joinBytes } from '../format/cursor.ts';
import type { Disk, Reach } from './disk.ts';
import type { LockHost } from './folder-lock.ts';
import { LocalDestination } from './local-destination.ts';
import { type LogWriter, nameOf } from './log-writer.fixture.ts';
import type { CommitName } from './sessions.ts';

/** A machine on which one process runs. */
export const host: LockHost = {
  hostName: 'here',
  bootId: 'boot',
  pid: 7,
  processMark: async (pid) => (pid === 7 ? 'seven' : undefined),
};

/** Opens the destination of an archive, with short segments. */
export function open(
  writer: LogWriter,
  disk: Disk,
  more: { host?: LockHost; breakLock?: boolean; dir?: string; reach?: Reach } = {},
) {
  const base = { dir: '/d', disk, archiveId: writer.archiveId, clock: systemClock, random: systemRandom, host };
  return LocalDestination.open({ ...base, segmentBodyBytes: 32 * 1024, ...more });
}

/** Fragments of an archive: keys first, then blocks with a commit behind them. */
export function fragmentsOf(writer: LogWriter, count: number): { bytes: Uint8Array; head: CommitName | undefined }[] {
  let head: CommitName | undefined;
  const fragments = [{ bytes: joinBytes(writer.header, writer.makeKeyring()), head }];
  for (let i = 0; i < count; i++) {
    const at = 10 + i * 10;
    const commit: Uint8Array = writer.makeCommit(at + 5, head, { checkpoint: i === 0 ? 1 : 0 });
    head = nameOf(i + 1, commit);
    const blocks = [0, 1, 2].map((n) => writer.makeBlock(at + n, 300 + ((i * 7919 + n * 104729) % 5000)));
    fragments.push({ bytes: joinBytes(...blocks, commit), head });
  }
  return fragments;
}
