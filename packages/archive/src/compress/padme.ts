import { assert } from '@holdfast/base';

/**
 * The padded length of `lengthBytes`, at least `floorBytes`: blurs exact sizes at a cost of at most 12 %.
 *
 * Lengths of the same magnitude share their low bits, so that a length says O(log log L) bits. Ranges to 2^52.
 * Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PETS 2019 (Padme).
 */
export function padmeBytes(lengthBytes: number, floorBytes: number): number {
  assert(Number.isSafeInteger(lengthBytes) && lengthBytes >= 0, 'a length is a whole number');
  const length = Math.max(lengthBytes, floorBytes);
  if (length < 2) return length;
  const exponent = floorLog2(length);
  const unit = 2 ** (exponent - (floorLog2(exponent) + 1));
  return Math.ceil(length / unit) * unit;
}

// Math.log2 rounds up just below large powers of two.
function floorLog2(value: number): number {
  return value < 1 ? 0 : value < 2 ** 31 ? 31 - Math.clz32(value) : 31 + floorLog2(Math.floor(value / 2 ** 31));
}
