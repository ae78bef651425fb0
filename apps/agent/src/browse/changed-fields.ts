import { type Row } from '@holdfast/archive';

/** What of an entry is another than in the version before. */
export type ChangedField =
  'type' | 'content' | 'modified' | 'mode' | 'owner' | 'attributes' | 'links' | 'sets' | 'status' | 'record';

const facts: readonly (readonly [ChangedField, (row: Row) => unknown])[] = [
  ['type', ({ type }) => type],
  ['content', (row) => [streamFact(row, 'content'), row.target, row.device?.major, row.device?.minor, row.flags]],
  ['modified', ({ modifiedAt }) => modifiedAt],
  ['mode', ({ mode }) => mode],
  ['owner', ({ uid, gid, userName, groupName }) => [uid, gid, userName, groupName]],
  ['attributes', (row) => streamFact(row, 'xattrs')],
  ['links', ({ linkGroup }) => linkGroup],
  ['sets', ({ sets }) => sets],
  ['status', ({ changedAt }) => changedAt],
];

/** What differs between two rows of a path, the most telling first; nothing where it was only recorded anew. */
export function changedFields(before: Row, now: Row): readonly ChangedField[] {
  const changed = facts.filter(([, of]) => textOf(of(before)) !== textOf(of(now))).map(([field]) => field);
  // The system gives a new status time with whatever else changes.
  return changed.length > 1 ? changed.filter((field) => field !== 'status') : changed;
}

/** What tells one content from another, wherever it lies. */
function streamFact({ streams }: Row, kind: string): unknown {
  const stream = streams?.find((each) => each.kind === kind);
  if (!stream || stream.size === 0) return undefined;
  const { size, bytes, contentHash, extents } = stream;
  return [size, bytes ?? contentHash ?? extents?.map(({ sha256 }) => sha256)];
}

function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_key, each: unknown) =>
      each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each,
    ) ?? ''
  );
}
