import { archiveErrors } from '../errors.ts';
import type { Extent, Reference } from '../format/extent.ts';
import { parseList } from '../format/list.ts';
import type { StreamRef } from '../format/stream.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';

/**
 * The extents of a stream in order, those in lists too. `load` finds a list where it lies now: see `listLoader`.
 *
 * @throws archive.corrupt, archive.record_missing
 */
export async function* streamExtents(
  stream: StreamRef,
  load: LoadRecord,
  onList: (list: Reference) => void = () => {},
): AsyncGenerator<Extent> {
  yield* stream.extents ?? [];
  if (stream.list) yield* listExtents(stream.list.list, stream.list.level, { load, onList });
}

async function* listExtents(
  reference: Reference,
  level: number,
  ports: { readonly load: LoadRecord; readonly onList: (list: Reference) => void },
): AsyncGenerator<Extent> {
  ports.onList(reference);
  const list = parseList(await ports.load(reference));
  if (list.level !== level) throw archiveErrors.corrupt({ what: `a list is of level ${list.level}, not ${level}` });
  if (list.level === 0) yield* list.extents;
  else for (const entry of list.entries) yield* listExtents(entry.list, level - 1, ports);
}
