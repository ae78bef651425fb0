import { equalBytes } from '../format/cursor.ts';
import { encodeRow, type Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';

/**
 * Whether two rows are one version of a file: the same type, content, attributes and time of change, wherever the content
 * lies. What the system alone sets, links, and which sets selected it do not count.
 */
export function isSameVersion(a: Row, b: Row): boolean {
  if (!equalBytes(factsOf(a), factsOf(b))) return false;
  const [mine, others] = [a.streams ?? [], b.streams ?? []].map((streams) => streams.filter(({ size }) => size > 0));
  return mine!.length === others!.length && mine!.every((stream, place) => isSameStream(stream, others![place]!));
}

function factsOf(row: Row): Uint8Array {
  const { streams: _s, linkGroup: _l, sets: _n, changedAt: _c, bornAt: _b, unknown: _u, ...facts } = row;
  return encodeRow(facts);
}

function isSameStream(a: StreamRef, b: StreamRef): boolean {
  if (a.kind !== b.kind || a.size !== b.size || !isSameName(a.name, b.name)) return false;
  const [mine, other] = [hashOf(a), hashOf(b)];
  return mine !== undefined && other !== undefined && equalBytes(mine, other);
}

function isSameName(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

/** What tells one content from another: the bytes themselves, or the content hash. */
function hashOf({ bytes, contentHash, extents }: StreamRef): Uint8Array | undefined {
  return bytes ?? contentHash ?? (extents?.length === 1 ? extents[0]!.sha256 : undefined);
}
