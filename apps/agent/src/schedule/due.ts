import type { BackupSet } from '../sets/backup-set.ts';

/** What there is to do, on the monotonic clock in milliseconds. */
export type Pending = {
  /** When the first of the changes came that wait; undefined without changes. */
  readonly changedAtMs: number | undefined;
  /** When the last commit ended. */
  readonly committedAtMs: number;
  readonly commitIntervalMs: number;
  readonly isWholeWanted: boolean;
  /** Not before: after a failure. */
  readonly notBeforeMs: number;
  readonly dailyAtMs: number;
  readonly coldAtMs: number | undefined;
  readonly retryAtMs: number | undefined;
};

/** What is to be done next. */
export type Due = { readonly what: 'whole' | 'changes' | 'cold' | 'connect'; readonly atMs: number };

/** How long changes gather before they are looked at: editors write a file in several steps. */
export const settleMs = 500;

/**
 * The next thing to do. The first change after a quiet spell is looked at when it has settled; later ones when the
 * interval since the last commit is over.
 */
export function nextDue(pending: Pending): Due {
  const { changedAtMs, committedAtMs, commitIntervalMs, isWholeWanted, notBeforeMs, dailyAtMs } = pending;
  const all: Due[] = [{ what: 'whole', atMs: isWholeWanted ? notBeforeMs : Math.max(dailyAtMs, notBeforeMs) }];
  if (changedAtMs !== undefined) {
    const atMs = Math.max(changedAtMs + settleMs, committedAtMs + commitIntervalMs, notBeforeMs);
    all.push({ what: 'changes', atMs });
  }
  if (pending.coldAtMs !== undefined) all.push({ what: 'cold', atMs: Math.max(pending.coldAtMs, notBeforeMs) });
  if (pending.retryAtMs !== undefined) all.push({ what: 'connect', atMs: pending.retryAtMs });
  return all.reduce((first, due) => (due.atMs < first.atMs ? due : first));
}

/** Whether a set is paused at a minute of the local day. The span may pass midnight; an empty one pauses nothing. */
export function isPaused({ pausedBetween }: Pick<BackupSet, 'pausedBetween'>, minute: number): boolean {
  if (!pausedBetween) return false;
  const { fromMinute, toMinute } = pausedBetween;
  if (fromMinute <= toMinute) return fromMinute <= minute && minute < toMinute;
  return minute >= fromMinute || minute < toMinute;
}

/** The minute of the local day. */
export function minuteOf(atMs: number): number {
  const date = new Date(atMs);
  return date.getHours() * 60 + date.getMinutes();
}
