/** The clock that runs from the start of the machine, through sleep, and that nobody sets. */
import { bootMilliseconds, readBootId } from '../filesystem/index.ts';

/** An instant of that clock. */
export type BootInstant = {
  /** Milliseconds since the machine started, those it slept included. */
  readonly bootMs: number;
  /** Differs from start to start of the machine. */
  readonly bootId: string;
};

/** Reads that clock. */
export type BootClock = { read(): BootInstant };

/** The machine's own. */
export function systemBootClock(): BootClock {
  const bootId = readBootId();
  return { read: () => ({ bootMs: bootMilliseconds(), bootId }) };
}
