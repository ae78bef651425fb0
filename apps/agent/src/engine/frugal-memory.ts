/**
 * Keeps the memory of a process small that runs for months: measured in docs/performance.md.
 *
 * V8 by itself lets a heap grow to twice its size and more before it collects; the less it may grow, the more is collected.
 * The C library keeps what was freed between two pieces in use.
 */
import { setFlagsFromString } from 'node:v8';
import { trimMemory } from '../filesystem/index.ts';

const lookIntervalMs = 1000;
const frugalFromBytes = 176 * 1024 * 1024;
const frugalToBytes = 144 * 1024 * 1024;
/** How much a heap may grow before it is collected, in percent. */
const growth = { usual: 50, frugal: 25 };
const trimmedAfterBytes = 8 * 1024 * 1024;
const trimmedAfterLooks = 10;

/** Spares memory from now on, in all threads, until it is disposed of. */
export function spareMemory(): Disposable {
  let isFrugal = false;
  let trimmedBytes = 0;
  let looks = 0;
  const setGrowth = (percent: number) => setFlagsFromString(`--heap-growing-percent=${percent}`);
  setGrowth(growth.usual);
  const look = () => {
    const residentBytes = process.memoryUsage.rss();
    const isMuch = residentBytes > (isFrugal ? frugalToBytes : frugalFromBytes);
    if (isMuch !== isFrugal) setGrowth(isMuch ? growth.frugal : growth.usual);
    isFrugal = isMuch;
    looks++;
    if (residentBytes < trimmedBytes + trimmedAfterBytes && looks < trimmedAfterLooks) return;
    if (isFrugal) trimMemory();
    trimmedBytes = process.memoryUsage.rss();
    looks = 0;
  };
  const timer = setInterval(look, lookIntervalMs).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      // As V8 does by itself.
      setGrowth(0);
    },
  };
}
