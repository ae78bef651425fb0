/** The pieces of a stream, out of rows and lists, proven by the content hash before anything is written. */
import { equalBytes } from '../format/cursor.ts';
import { createContentHasher, type Extent, isHole, type Sha256 } from '../format/extent.ts';
import { lengthOfList, parseList } from '../format/list.ts';
import type { Reference } from '../format/extent.ts';
import type { Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import type { ContentLoader, RestoreReader } from './archive-reader.ts';
import { restoreErrors } from './errors.ts';

/** What opens contents while planning. */
export type ContentTools = {
  readonly reader: RestoreReader;
  readonly loader: ContentLoader;
  readonly createSha256: () => Sha256;
};

/** A longer stream of attributes than any file system takes is not read into memory. */
const maxXattrBytes = 4 * 1024 * 1024;

/**
 * The pieces of a stream that lie in records, in order, holes left out, each where it lies now.
 *
 * @throws restore.content_damaged after the last piece when together they are not what the row names; then none counts
 */
export async function* piecesOf(
  tools: ContentTools,
  stream: StreamRef,
): AsyncGenerator<{ readonly position: number; readonly extent: Extent }> {
  const hasher = createContentHasher(tools.createSha256);
  let position = 0;
  for await (const extent of extentsOf(tools, stream)) {
    hasher.add(extent);
    if (!isHole(extent)) yield { position, extent: await tools.reader.resolveExtent(extent) };
    position += extent.length;
  }
  const isWhole = position === stream.size;
  const isSame = stream.contentHash === undefined || equalBytes(hasher.digest(), stream.contentHash);
  if (!isWhole || !isSame) throw restoreErrors.content_damaged();
}

/** The bytes of an entry's extended attributes; empty where it has none. */
export async function xattrsOf(tools: ContentTools, row: Row): Promise<Uint8Array> {
  const stream = row.streams?.find(({ kind }) => kind === 'xattrs');
  if (stream === undefined) return new Uint8Array(0);
  if (stream.bytes !== undefined) return stream.bytes;
  if (stream.size > maxXattrBytes) throw restoreErrors.attributes_damaged();
  const bytes = new Uint8Array(stream.size);
  for await (const { position, extent } of piecesOf(tools, stream)) {
    bytes.set(await tools.loader.piece(extent), position);
  }
  return bytes;
}

async function* extentsOf(tools: ContentTools, stream: StreamRef): AsyncGenerator<Extent> {
  if (stream.extents !== undefined) yield* stream.extents;
  if (stream.list !== undefined) yield* extentsOfList(tools, stream.list.list, stream.list.level, stream.size);
}

async function* extentsOfList(
  tools: ContentTools,
  reference: Reference,
  level: number,
  streamBytes: number,
): AsyncGenerator<Extent> {
  const list = parseList(await tools.loader.list(await tools.reader.resolveList(reference)));
  if (list.level !== level || lengthOfList(list) !== streamBytes) throw restoreErrors.content_damaged();
  if (list.level === 0) yield* list.extents;
  else for (const entry of list.entries) yield* extentsOfList(tools, entry.list, level - 1, entry.streamBytes);
}
