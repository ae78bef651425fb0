import { assert } from '@holdfast/base';

import { corrupt } from '../errors.ts';
import { maxNumber } from './cursor.ts';
import { type Ordinal, ordinalOf, sequenceOf, writerOf } from './ordinal.ts';

/** The first byte of a key says what it names. */
export const keySpaces = { files: 1, commits: 2, moves: 3, settings: 4 } as const;

/** The longest name of a file. */
export const maxNameBytes = 4095;

/** A key of space 1: a name in a directory at a commit. The empty name is the directory itself. */
export type FileKey = { readonly directoryNumber: number; readonly name: Uint8Array; readonly commit: number };

/** Any key, taken apart; `unknown` is a space of a newer version. */
export type MapKey =
  | ({ readonly space: 'files' } & FileKey)
  | { readonly space: 'commits'; readonly commit: number }
  | { readonly space: 'moves'; readonly ordinal: Ordinal; readonly offset: number }
  | { readonly space: 'settings'; readonly name: string }
  | { readonly space: 'unknown' };

/** Whether bytes are a name that a file can have: 1 to 4,095 of them, no `/`, no zero, not `.` or `..`. */
export function isFileName(name: Uint8Array): boolean {
  if (name.length < 1 || name.length > maxNameBytes) return false;
  if (name.length <= 2 && name.every((byte) => byte === 0x2e)) return false;
  return !name.includes(0) && !name.includes(0x2f);
}

/** The key of a row. */
export function fileKey(directoryNumber: number, name: Uint8Array, commit: number): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(18 + name.length);
  key[0] = keySpaces.files;
  putU64(key, 1, directoryNumber);
  key.set(name, 9);
  putU64(key, 10 + name.length, commit);
  return key;
}

/** What all rows of a name begin with: `fileKey` without its commit number. */
export function filePrefix(directoryNumber: number, name: Uint8Array): Uint8Array<ArrayBuffer> {
  return fileKey(directoryNumber, name, 0).subarray(0, 10 + name.length);
}

/** The first key that a directory's rows can have; they end before that of the next number. */
export function directoryStart(directoryNumber: number): Uint8Array<ArrayBuffer> {
  return fileKey(directoryNumber, new Uint8Array(0), 0).subarray(0, 9);
}

/** The key of a commit's row. */
export function commitKey(commit: number): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(9);
  key[0] = keySpaces.commits;
  putU64(key, 1, commit);
  return key;
}

/** The key of a move: where the bytes at `offset` of a record, or a list (offset 0), lie now. */
export function moveKey(ordinal: Ordinal, offset: number): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(11);
  const view = new DataView(key.buffer);
  key[0] = keySpaces.moves;
  view.setUint16(1, writerOf(ordinal));
  view.setUint32(3, sequenceOf(ordinal));
  view.setUint32(7, offset);
  return key;
}

/** The key of a setting. */
export function settingsKey(name: string): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(name);
  const key = new Uint8Array(1 + encoded.length);
  key[0] = keySpaces.settings;
  key.set(encoded, 1);
  return key;
}

/** Takes a key apart; names are views. @throws archive.corrupt when it is not as its space says. */
export function parseMapKey(key: Uint8Array): MapKey {
  switch (key[0]) {
    case keySpaces.files:
      return { space: 'files', ...parseFileKey(key) };
    case keySpaces.commits:
      if (key.length !== 9) throw corrupt('key: that of a commit has not 9 bytes');
      return { space: 'commits', commit: u64At(key, 1) };
    case keySpaces.moves:
      return { space: 'moves', ...parseMoveKey(key) };
    case keySpaces.settings:
      return { space: 'settings', name: parseText(key.subarray(1)) };
    case undefined:
      throw corrupt('key: it is empty');
    default:
      return { space: 'unknown' };
  }
}

/** Takes a key of space 1 apart; the name is a view, empty for a directory's own row. @throws archive.corrupt */
export function parseFileKey(key: Uint8Array): FileKey {
  const zeroAt = key.length - 9;
  if (key[0] !== keySpaces.files || zeroAt < 9 || key[zeroAt] !== 0) throw corrupt('key: that of a row is cut off');
  const name = key.subarray(9, zeroAt);
  if (name.length > 0 && !isFileName(name)) throw corrupt('key: a name is none');
  return { directoryNumber: u64At(key, 1), name, commit: u64At(key, zeroAt + 1) };
}

function parseMoveKey(key: Uint8Array): { ordinal: Ordinal; offset: number } {
  if (key.length !== 11) throw corrupt('key: that of a move has not 11 bytes');
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return { ordinal: ordinalOf(view.getUint16(1), view.getUint32(3)), offset: view.getUint32(7) };
}

function parseText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw corrupt('key: the name of a setting is not UTF-8', 1, error);
  }
}

function putU64(key: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a number in a key is whole and below 2^53');
  let rest = value;
  for (let i = 7; i >= 0; i -= 1) {
    key[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function u64At(key: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0; i < 8; i += 1) value = value * 256 + key[at + i]!;
  if (value > maxNumber) throw corrupt('key: a number is not below 2^53', at);
  return value;
}
