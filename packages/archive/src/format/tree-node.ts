import { archiveErrors, corrupt } from '../errors.ts';
import { ByteReader, ByteWriter, compareBytes, joinBytes, varintBytes } from './cursor.ts';
import { readReference, type Reference, writeReference } from './extent.ts';

/** The most raw bytes of a tree record. */
export const maxNodeBytes = 16_384;

/** The highest level of a tree. */
export const maxTreeLevel = 8;

/** The longest key: that of a row with the longest name. */
export const maxKeyBytes = 18 + 4095;

/** The longest value: that of a row. */
export const maxValueBytes = 8192;

/** The most bytes that the keys of one record have together once they are written out. */
export const maxExpandedKeyBytes = 64 * 1024 * 1024;

/** A key of the map and its value. */
export type MapEntry = { readonly key: Uint8Array; readonly value: Uint8Array };

/** A tree record: entries by rising key. In an inner node (level above 0) the values are references. */
export type TreeNode = { readonly level: number; readonly entries: readonly MapEntry[] };

/** The most that one entry can be: a length each of shared part, rest and value, and the bytes. */
export function entryBytes(shared: number, entry: MapEntry): number {
  const rest = entry.key.length - shared;
  return varintBytes(shared) + varintBytes(rest) + rest + varintBytes(entry.value.length) + entry.value.length;
}

/** How many bytes the keys have in common from their start on. */
export function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared += 1;
  return shared;
}

/** Reads entries to the end of the reader; keys must rise. Values are views, keys are bytes of their own. */
export function readEntries(reader: ByteReader): MapEntry[] {
  const entries: MapEntry[] = [];
  let before: Uint8Array = new Uint8Array(0);
  let expanded = 0;
  while (reader.remaining > 0) {
    const shared = reader.varint();
    if (shared > before.length) throw reader.corrupt('a key shares more than the one before has');
    const rest = reader.sized(maxKeyBytes);
    const length = shared + rest.length;
    expanded += length;
    if (expanded > maxExpandedKeyBytes) throw reader.corrupt('its keys are longer than 64 MiB together');
    if (length === 0 || length > maxKeyBytes) throw reader.corrupt('a key is empty or too long');
    const key = joinBytes(before.subarray(0, shared), rest);
    if (entries.length > 0 && compareBytes(before, key) >= 0) throw reader.corrupt('keys do not rise');
    entries.push({ key, value: reader.sized(maxValueBytes) });
    before = key;
  }
  return entries;
}

/** Writes entries by rising key. */
export function writeEntries(writer: ByteWriter, entries: Iterable<MapEntry>): void {
  let before: Uint8Array = new Uint8Array(0);
  for (const entry of entries) {
    checkEntry(entry);
    const shared = sharedBytes(before, entry.key);
    writer.varint(shared).putSized(entry.key.subarray(shared)).putSized(entry.value);
    before = entry.key;
  }
}

/** Reads the raw bytes of a tree record. @throws archive.corrupt */
export function parseTreeNode(raw: Uint8Array): TreeNode {
  if (raw.length > maxNodeBytes) throw corrupt('tree: a node has more than 16,384 bytes');
  const reader = new ByteReader(raw, 'tree');
  const level = reader.u8();
  if (level > maxTreeLevel) throw reader.corrupt(`level ${level} does not exist`);
  const entries = readEntries(reader);
  if (level > 0 && entries.length === 0) throw reader.corrupt('an inner node is empty');
  return { level, entries };
}

/** The raw bytes of a tree record. @throws archive.too_large above 16,384 bytes. */
export function encodeTreeNode(node: TreeNode): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(maxNodeBytes);
  writeEntries(writer.u8(node.level), node.entries);
  if (writer.length > maxNodeBytes) throw archiveErrors.too_large({ what: 'tree node', bytes: writer.length });
  return writer.written();
}

/** The child that an entry of an inner node names. @throws archive.corrupt */
export function childOf(entry: MapEntry): Reference {
  const reader = new ByteReader(entry.value, 'tree');
  const reference = readReference(reader);
  reader.expectEnd();
  return reference;
}

/** The entry of an inner node for a child. */
export function childEntry(key: Uint8Array, child: Reference): MapEntry {
  const writer = new ByteWriter(38);
  writeReference(writer, child);
  return { key, value: writer.written() };
}

/** Index of the last entry whose key is at most `key`; -1 when all are greater. */
export function findEntry(entries: readonly MapEntry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(entries[middle]!.key, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function checkEntry({ key, value }: MapEntry): void {
  if (key.length > maxKeyBytes) throw archiveErrors.too_large({ what: 'key', bytes: key.length });
  if (value.length > maxValueBytes) throw archiveErrors.too_large({ what: 'value', bytes: value.length });
}
