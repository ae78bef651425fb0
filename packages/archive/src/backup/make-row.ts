/** From what was seen and stored to the rows of the archive's format. */
import { createHash, hash } from 'node:crypto';
import { contentHashOf, type Extent, isHole, lengthOfExtents } from '../format/extent.ts';
import { ListBuilder } from '../format/list.ts';
import { fuzzyFlag, type Row } from '../format/row.ts';
import { maxInlineBytes, maxInlineExtents, type StreamKind, type StreamRef } from '../format/stream.ts';
import { encodeXattrs } from '../format/xattrs.ts';
import type { ContentStore, RecordStore } from './content-store.ts';
import type { OwnerNames, SourceAttribute, SourceAttributes } from './source.ts';
import { rowDigestBytes } from './packed-directory.ts';

/** What a row is made from besides its content. */
export type RowFacts = {
  readonly attributes: SourceAttributes;
  readonly owner: OwnerNames;
  readonly sets: readonly number[];
  readonly target?: Uint8Array;
  readonly streams?: readonly StreamRef[];
  readonly isFuzzy?: boolean;
  readonly linkGroup?: number;
};

/** The row of a file, symbolic link or special file. */
export function makeRow(facts: RowFacts): Row {
  const { attributes, streams } = facts;
  const isDevice = attributes.type === 'character_device' || attributes.type === 'block_device';
  return {
    type: attributes.type,
    sets: facts.sets,
    ...metadataOf(attributes, facts.owner),
    ...(isDevice && { device: { major: attributes.rdevMajor, minor: attributes.rdevMinor } }),
    ...(facts.linkGroup !== undefined && { linkGroup: facts.linkGroup }),
    ...(facts.target && { target: facts.target }),
    ...(streams && streams.length > 0 && { streams }),
    ...(facts.isFuzzy && { flags: fuzzyFlag }),
  };
}

/** Mode, owner and times as a row has them. */
export function metadataOf(attributes: SourceAttributes, owner: OwnerNames): Partial<Row> {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    ...(owner.user && { userName: owner.user }),
    ...(owner.group && { groupName: owner.group }),
    modifiedAt: { seconds: attributes.mtimeSeconds, nanoseconds: attributes.mtimeNanoseconds },
    changedAt: { seconds: attributes.ctimeSeconds, nanoseconds: attributes.ctimeNanoseconds },
    ...(attributes.birthKnown && {
      bornAt: { seconds: attributes.birthSeconds, nanoseconds: attributes.birthNanoseconds },
    }),
  };
}

/** A stream with these extents: in the row, or in lists that are stored on the way. */
export function makeStream(kind: StreamKind, extents: readonly Extent[], records: RecordStore): StreamRef {
  const size = lengthOfExtents(extents);
  if (size === 0) return { kind, size };
  const isPlain = extents.length === 1 && !isHole(extents[0]!);
  const contentHash = isPlain ? {} : { contentHash: contentHashOf(extents, () => createHash('sha256')) };
  if (extents.length <= maxInlineExtents) return { kind, size, extents, ...contentHash };
  const lists = new ListBuilder((raw) => {
    const ordinal = records.reserve();
    const sha256 = hash('sha256', raw, 'buffer');
    records.put({ kind: 'list', ordinal, raw, sha256 });
    return { ordinal, sha256 };
  });
  for (const extent of extents) lists.add(extent);
  return { kind, size, list: lists.finish(), ...contentHash };
}

/** The stream of extended attributes; none when there are none. Long ones are stored like content. */
export function makeXattrStream(
  xattrs: readonly SourceAttribute[],
  content: ContentStore,
  records: RecordStore,
  owner: { readonly uid: number; readonly sets: readonly number[] },
): readonly StreamRef[] {
  if (xattrs.length === 0) return [];
  const bytes = encodeXattrs(xattrs);
  if (bytes.length <= maxInlineBytes) return [{ kind: 'xattrs', size: bytes.length, bytes }];
  const extents: Extent[] = [];
  for (let at = 0; at < bytes.length; at += xattrPieceBytes) {
    extents.push(content.storeSmall(bytes.subarray(at, at + xattrPieceBytes), { ...owner, isCredential: false }));
  }
  return [makeStream('xattrs', extents, records)];
}

const xattrPieceBytes = 48 * 1024;

/** What tells one row from another, for the scan's memory. */
export function digestOf(row: Uint8Array): Uint8Array {
  return hash('sha256', row, 'buffer').subarray(0, rowDigestBytes);
}
