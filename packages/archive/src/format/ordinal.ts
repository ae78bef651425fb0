import { assert } from '@holdfast/base';

/** A record's name: 16 bits of writer number above 32 bits of sequence, as one number below 2^48. */
export type Ordinal = number;

/** Names no record: an extent that has it is a hole. */
export const HOLE_ORDINAL: Ordinal = 2 ** 48 - 1;

/** The ordinal of a writer's record. `writer` 0 to 65,535; `sequence` 0 to 2^32 - 1. */
export function ordinalOf(writer: number, sequence: number): Ordinal {
  assert(Number.isInteger(writer) && writer >= 0 && writer < 2 ** 16, 'a writer number has 16 bits');
  assert(Number.isInteger(sequence) && sequence >= 0 && sequence < 2 ** 32, 'a sequence has 32 bits');
  return writer * 2 ** 32 + sequence;
}

/** The number of the writer whose record it is. */
export function writerOf(ordinal: Ordinal): number {
  return Math.floor(ordinal / 2 ** 32);
}

/** Which of its writer's records it is. */
export function sequenceOf(ordinal: Ordinal): number {
  return ordinal % 2 ** 32;
}

/** `writer:sequence`, for people. */
export function formatOrdinal(ordinal: Ordinal): string {
  return `${writerOf(ordinal)}:${sequenceOf(ordinal)}`;
}
