import type { ByteReader, ByteWriter } from './cursor.ts';

/** An instant: whole seconds since 1970, negative before, and the nanoseconds after them (0 to 999,999,999). */
export type Time = { readonly seconds: number; readonly nanoseconds: number };

/** Bytes of a time. */
export const timeBytes = 12;

/** Reads 12 bytes: `i64` seconds, `u32` nanoseconds. */
export function readTime(reader: ByteReader): Time {
  const seconds = reader.i64();
  const nanoseconds = reader.u32();
  if (nanoseconds >= 1_000_000_000) throw reader.corrupt('nanoseconds are a whole second or more');
  return { seconds, nanoseconds };
}

/** Writes 12 bytes. */
export function writeTime(writer: ByteWriter, time: Time): void {
  writer.i64(time.seconds).u32(time.nanoseconds);
}

/** The instant of milliseconds since 1970; fractions of a millisecond are kept to the nanosecond. */
export function timeOfMilliseconds(milliseconds: number): Time {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: Math.min(999_999_999, Math.round((milliseconds - seconds * 1000) * 1e6)) };
}

/** Milliseconds since 1970, nanoseconds rounded down. */
export function millisecondsOf(time: Time): number {
  return time.seconds * 1000 + Math.floor(time.nanoseconds / 1e6);
}

/** Negative, 0 or positive as `a` is before, at or after `b`. */
export function compareTimes(a: Time, b: Time): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}
