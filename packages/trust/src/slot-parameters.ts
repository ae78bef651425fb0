import { assert } from '@holdfast/base';
import { slotErrors } from './slot-errors.ts';

/**
 * The parameters of a slot as bytes: tagged values numbered from 1, each of which must be understood.
 *
 * A number is written as a varint. Layout: format document, section 1, "fields".
 */
export function encodeParameters(values: readonly (Uint8Array | number)[]): Uint8Array {
  const parts = values.flatMap((value, index) => {
    const bytes = typeof value === 'number' ? varint(value) : value;
    return [varint(2 * (index + 1) + 1), varint(bytes.length), bytes];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * The values of the parameters 1 to `count`, all of which must be there, once each.
 *
 * One more that need not be understood is passed over, as everywhere in the format.
 * @throws slot.bad_parameters
 */
export function parseParameters(bytes: Uint8Array | undefined, count: number): readonly Uint8Array[] {
  const values: Uint8Array[] = [];
  const cursor = { bytes: bytes ?? new Uint8Array(), at: 0 };
  let lastTag = 0;
  while (cursor.at < cursor.bytes.length) {
    const key = takeVarint(cursor);
    const [tag, isMust] = [Math.floor(key / 2), key % 2 === 1];
    const value = take(cursor, takeVarint(cursor));
    if (tag < lastTag) throw bad('the tags decrease');
    lastTag = tag;
    const isKnown = tag >= 1 && tag <= count;
    if (isKnown !== isMust) throw bad(`parameter ${tag} is marked wrongly, or not known`);
    if (!isKnown) continue;
    if (values.length !== tag - 1) throw bad(`parameter ${tag} comes twice, or one before it is missing`);
    values.push(value);
  }
  if (values.length !== count) throw bad(`parameter ${values.length + 1} is missing`);
  return values;
}

/** A parameter that is a number within bounds, both included. @throws slot.bad_parameters */
export function parameterNumber(value: Uint8Array, [least, most]: readonly [number, number]): number {
  const cursor = { bytes: value, at: 0 };
  const number = takeVarint(cursor);
  if (cursor.at !== value.length) throw bad('a number has bytes left over');
  if (number < least || number > most) throw bad(`${number} is not between ${least} and ${most}`);
  return number;
}

/** A parameter of an exact length. @throws slot.bad_parameters */
export function parameterBytes(value: Uint8Array, length: number): Uint8Array {
  if (value.length !== length) throw bad(`a value has ${value.length} bytes, not ${length}`);
  return value;
}

type Cursor = { readonly bytes: Uint8Array; at: number };

const bad = (what: string) => slotErrors.bad_parameters({ what });

/** Unsigned LEB128 in its shortest form. */
function varint(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, 'a varint is a whole number below 2^53');
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return new Uint8Array([...bytes, rest]);
}

function takeVarint(cursor: Cursor): number {
  let value = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) throw bad('a number is cut off');
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte > 0x7f) continue;
    if (byte === 0 && index > 0) throw bad('a number is not in its shortest form');
    if (!Number.isSafeInteger(value)) break;
    return value;
  }
  throw bad('a number is too great');
}

function take(cursor: Cursor, length: number): Uint8Array {
  if (length > cursor.bytes.length - cursor.at) throw bad('a value is cut off');
  cursor.at += length;
  return cursor.bytes.subarray(cursor.at - length, cursor.at);
}
