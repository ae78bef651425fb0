import type { Clock } from '@holdfast/base';
import { type Time, timeOfMilliseconds } from '../format/time.ts';

/** An instant as a commit is to bear it, and how it is known. */
export type CommitInstant = {
  /** The best estimate, in milliseconds since 1970. */
  readonly atMs: number;
  /** The same instant in milliseconds since the machine started, by a clock that counts sleep and that nobody sets. */
  readonly bootMs: number;
  /** Which start of the machine that was. */
  readonly bootId: string;
  /** A server's receipt is behind the estimate; otherwise it is the wall clock's word, and may be corrected later. */
  readonly isConfirmed: boolean;
};

/** The time that a commit bears: to the millisecond, as people are shown it and write it back. */
export function timeOfCommit(atMs: number): Time {
  return timeOfMilliseconds(Math.round(atMs));
}

/** Where the time of commits comes from. */
export type CommitClock = { read(): CommitInstant };

/** The wall clock alone: nothing it says is ever confirmed. */
export function wallCommitClock(clock: Clock): CommitClock {
  return { read: () => ({ atMs: clock.now(), bootMs: clock.monotonic(), bootId: '', isConfirmed: false }) };
}
