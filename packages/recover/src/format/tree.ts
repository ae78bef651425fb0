import { corrupt } from '../errors.ts';
import { Cursor, readWhole } from './bytes.ts';
import { type Extent, type Reference, readExtent, readReference } from './reference.ts';

/** A key of the map and its value. */
export type Entry = { readonly key: Buffer; readonly value: Buffer };

const TREE_LIMIT_BYTES = 16_384;
const MAX_LEVEL = 8;
const KEY_LIMIT_BYTES = 4_113;
const VALUE_LIMIT_BYTES = 8_192;
const KEYS_LIMIT_BYTES = 64 * 1024 * 1024;

/** A node of the tree of names: entries of the map (level 0) or the first keys of children and what names them. */
export type TreeNode =
  | { readonly level: 0; readonly entries: readonly Entry[] }
  | { readonly level: number; readonly keys: readonly Buffer[]; readonly children: readonly Reference[] };

/**
 * Reads entries with shared key beginnings, to the end of the bytes (§9).
 *
 * Keys are copied, values are views. @throws structure.corrupt when keys do not rise.
 */
export function readEntries(bytes: Buffer, structure: string, at = 0): readonly Entry[] {
  const cursor = new Cursor(bytes, structure, at);
  const entries: Entry[] = [];
  let before: Buffer = Buffer.alloc(0);
  let keyBytes = 0;
  while (cursor.left > 0) {
    const shared = cursor.varint();
    const rest = cursor.take(cursor.varint());
    if (shared > before.length) throw corrupt(structure, 'a key shares more than there is');
    if (shared + rest.length > KEY_LIMIT_BYTES) throw corrupt(structure, 'a key is too long');
    keyBytes += shared + rest.length;
    if (keyBytes > KEYS_LIMIT_BYTES) throw corrupt(structure, 'its keys are too long together');
    const key = Buffer.concat([before.subarray(0, shared), rest]);
    if (entries.length > 0 && Buffer.compare(before, key) >= 0) throw corrupt(structure, 'its keys do not rise');
    const value = cursor.take(cursor.varint());
    if (value.length > VALUE_LIMIT_BYTES) throw corrupt(structure, 'a value is too long');
    entries.push({ key, value });
    before = key;
  }
  return entries;
}

/** Reads the raw bytes of a tree record. @throws structure.corrupt */
export function readTreeNode(raw: Buffer): TreeNode {
  if (raw.length < 1 || raw.length > TREE_LIMIT_BYTES) throw corrupt('tree', 'its length is out of bounds');
  const level = raw.readUInt8(0);
  if (level > MAX_LEVEL) throw corrupt('tree', 'its level is out of bounds');
  const entries = readEntries(raw, 'tree', 1);
  if (level === 0) return { level: 0, entries };
  if (entries.length === 0) throw corrupt('tree', 'an inner node has no children');
  return {
    level,
    keys: entries.map((entry) => entry.key),
    children: entries.map((entry) => readWhole(entry.value, 'tree', readReference)),
  };
}

/** A child of a list, and how many bytes of the stream it covers. */
export type ListChild = Reference & { readonly streamBytes: number };

/** The raw bytes of a list record, read. */
export type ListNode =
  | { readonly level: 0; readonly extents: readonly Extent[] }
  | { readonly level: number; readonly children: readonly ListChild[] };

const LIST_ENTRY_BYTES = 46;
const LIST_LIMIT_ENTRIES = 1_424;
const LIST_MAX_LEVEL = 2;

/** Reads the raw bytes of a list record (§8). @throws structure.corrupt */
export function readListNode(raw: Buffer): ListNode {
  const cursor = new Cursor(raw, 'list');
  const level = cursor.u8();
  const count = cursor.left / LIST_ENTRY_BYTES;
  if (level > LIST_MAX_LEVEL || !Number.isInteger(count) || count > LIST_LIMIT_ENTRIES || count < 1) {
    throw corrupt('list', 'its level or length is out of bounds');
  }
  if (level === 0) return { level: 0, extents: Array.from({ length: count }, () => readExtent(cursor)) };
  const children = Array.from({ length: count }, () => ({ ...readReference(cursor), streamBytes: cursor.u64() }));
  return { level, children };
}
