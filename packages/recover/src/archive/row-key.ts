import { corrupt } from '../errors.ts';
import type { Ordinal } from '../format/bytes.ts';
import { sequenceOf, writerOf } from '../format/bytes.ts';
import type { KeyRange } from './name-map.ts';

/** A key of space 1, taken apart; the name is empty for a directory's own row. */
export type RowKey = { readonly directory: number; readonly name: Buffer; readonly commit: number };

/** Takes a key of space 1 apart. @throws structure.corrupt */
export function readRowKey(key: Buffer): RowKey {
  const nameEnd = key.length - 9;
  const bad = nameEnd < 9 || key[0] !== 1 || key[nameEnd] !== 0 || key.subarray(9, nameEnd).includes(0);
  if (bad) throw corrupt('key', 'it is no key of a row');
  const directory = key.readBigUInt64BE(1);
  const commit = key.readBigUInt64BE(nameEnd + 1);
  if (directory > Number.MAX_SAFE_INTEGER || commit > Number.MAX_SAFE_INTEGER)
    throw corrupt('key', 'a number is 2^53 or more');
  return { directory: Number(directory), name: key.subarray(9, nameEnd), commit: Number(commit) };
}

/** What the keys of all rows of a directory begin with. */
export function directoryPrefix(directory: number): Buffer {
  const prefix = Buffer.alloc(9);
  prefix.writeUInt8(1, 0);
  prefix.writeBigUInt64BE(BigInt(directory), 1);
  return prefix;
}

/** What the keys of all rows of one name begin with; an empty name for the own row. */
export function namePrefix(directory: number, name: Buffer): Buffer {
  return Buffer.concat([directoryPrefix(directory), name, Buffer.alloc(1)]);
}

/** The key of a move: of an extent by its offset, of a list with offset 0. */
export function moveKey(ordinal: Ordinal, offset: number): Buffer {
  const key = Buffer.alloc(11);
  key.writeUInt8(3, 0);
  key.writeUInt16BE(writerOf(ordinal), 1);
  key.writeUInt32BE(sequenceOf(ordinal), 3);
  key.writeUInt32BE(offset, 7);
  return key;
}

/** A stretch of keys in words. */
export function describeRange(range: KeyRange): string {
  return `keys from ${describeKey(range.from)} to ${range.to === undefined ? 'the end' : describeKey(range.to)}`;
}

function describeKey(key: Buffer): string {
  if (key.length === 0) return 'the beginning';
  if (key[0] !== 1 || key.length < 9) return key.toString('hex');
  const rest = key.subarray(9);
  const end = rest.indexOf(0);
  return `directory ${key.readBigUInt64BE(1)}, name ${JSON.stringify(rest.subarray(0, end === -1 ? rest.length : end).toString())}`;
}
