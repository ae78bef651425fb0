import { readFileSync } from 'node:fs';
import { fail, native, scratchView, structOffset } from './native.ts';

const CLOCK_BOOTTIME = 7;

/** Milliseconds since the machine started, those it slept included: `clock_gettime` with `CLOCK_BOOTTIME`. */
export function bootMilliseconds(): number {
  const { libc, address } = native();
  if (libc.clock_gettime(CLOCK_BOOTTIME, address + structOffset) !== 0) fail('clock_gettime');
  const seconds = Number(scratchView.getBigInt64(structOffset, true));
  return seconds * 1000 + Number(scratchView.getBigInt64(structOffset + 8, true)) / 1e6;
}

/** What the kernel drew at random when the machine started: another start has another. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
