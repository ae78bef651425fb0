import type { CodedError } from '@holdfast/base';
import { keyLogErrors } from './errors.ts';
import type { KeyLogBook } from './key-log-book.ts';

/** Something about the log that should have come. */
export type Lateness = { readonly error: CodedError; readonly sinceMs: number };

const HOUR_MS = 3_600_000;
/** A leaf over the heads of all archives is written every day by the first job that runs. */
const DAILY_MS = 48 * HOUR_MS;
/** So long after the end of the newest day there is a newer one; or a server could show old ones one by one, for ever. */
const OLD_DAY_MS = 72 * HOUR_MS;

/**
 * What of the log did not come for longer than it may: who withholds it, or shows an old one for ever, alters nothing.
 *
 * That a day's leaf is missing is said only where there was one before.
 */
export function latenessOf(book: KeyLogBook, nowMs: number): readonly Lateness[] {
  const found: Lateness[] = [];
  const [shown, checkedAtMs, seen] = [book.shownHead(), book.checkedAtMs(), book.seenDay()];
  const known = book.head()?.tree.size ?? 0;
  // A clock that was set back is no reason to say nothing.
  const isOver = (sinceMs: number, untilMs: number, limitMs: number) => Math.abs(untilMs - sinceMs) > limitMs;
  if (shown && isOver(shown.sinceMs, nowMs, HOUR_MS)) {
    const error = keyLogErrors.withheld({ known, shown: shown.treeSize });
    found.push({ error, sinceMs: shown.sinceMs });
  }
  if (isOver(checkedAtMs, nowMs, HOUR_MS)) found.push({ error: keyLogErrors.unchecked(), sinceMs: checkedAtMs });
  const isOldDay = seen && isOver(Date.parse(`${seen.day}T24:00:00Z`), checkedAtMs, OLD_DAY_MS);
  if (seen && (isOldDay || isOver(seen.seenAtMs, checkedAtMs, DAILY_MS)))
    found.push({ error: keyLogErrors.daily_missing({ newest: seen.day }), sinceMs: seen.seenAtMs });
  return found;
}
