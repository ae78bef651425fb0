import { compressedFormat } from './magic.ts';

const sampleBytes = 4096;
const incompressibleBits = 7.9;
const slotBits = 13;

const counts = new Uint32Array(256);
const slots = new Int32Array(2 ** slotBits);

/** Whether a piece is worth compressing, and what said so. */
export type Probe = 'compressible' | 'compressed_format' | 'looks_random';

/**
 * Decides in about 25 microseconds whether to call the compressor: by the signature of a compressed format where the
 * piece begins a file, else by three samples of 4 KiB.
 *
 * A sample in which any four bytes come twice, or whose bytes carry at most 7.9 bits each, is worth a try. Less than
 * about 300 bytes always are: so few cannot show more.
 */
export function probe(raw: Uint8Array, isFileStart: boolean): Probe {
  if (isFileStart && compressedFormat(raw) !== undefined) return 'compressed_format';
  return looksRandom(raw) ? 'looks_random' : 'compressible';
}

function looksRandom(raw: Uint8Array): boolean {
  counts.fill(0);
  slots.fill(0);
  let sampled = 0;
  for (const start of sampleStarts(raw.length)) {
    const end = Math.min(start + sampleBytes, raw.length);
    if (countAndFindRepeat(raw, start, end)) return false;
    sampled += end - start;
  }
  return entropyBits(sampled) > incompressibleBits;
}

function sampleStarts(lengthBytes: number): readonly number[] {
  if (lengthBytes <= sampleBytes) return [0];
  const last = lengthBytes - sampleBytes;
  if (lengthBytes < 3 * sampleBytes) return [0, sampleBytes, 2 * sampleBytes].filter((start) => start < lengthBytes);
  return [0, last >> 1, last];
}

/** Counts bytes into `counts`; stops with true at four bytes that were seen before, in this sample or an earlier one. */
function countAndFindRepeat(raw: Uint8Array, start: number, end: number): boolean {
  let window = 0;
  const firstWhole = Math.min(start + 3, end);
  for (let at = start; at < firstWhole; at += 1) {
    counts[raw[at]!]! += 1;
    window = (window << 8) | raw[at]!;
  }
  for (let at = firstWhole; at < end; at += 1) {
    const byte = raw[at]!;
    counts[byte]! += 1;
    window = (window << 8) | byte;
    const slot = Math.imul(window, 0x9e3779b1) >>> (32 - slotBits);
    // An empty slot reads as four zero bytes: those are a repeat in themselves.
    if (slots[slot] === window) return true;
    slots[slot] = window;
  }
  return false;
}

function entropyBits(total: number): number {
  let sum = 0;
  for (const count of counts) if (count > 0) sum += count * Math.log2(count);
  return total === 0 ? 0 : Math.log2(total) - sum / total;
}
