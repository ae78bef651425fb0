import { hash } from 'node:crypto';

import { encodeFooter, encodeSegmentHead, EntryTable, segmentHeadBytes } from '../log/footer.ts';
import { ParityBuilder, sectorBytes, sectorChecksums } from '../log/parity.ts';
import { joinBytes } from '../format/cursor.ts';
import { parseRecordHeader, RecordKind } from '../format/record.ts';
import type { MadeRecord } from './archive-maker.ts';

/** Files by path below the archive's folder. */
export type ArchiveFiles = Map<string, Uint8Array>;

/** How a segment is closed: with parity, without, or not at all. */
export type SegmentEnd = 'parity' | 'no parity' | 'open';

/** One segment: its records, how it ends, and bytes behind the last record of an open one. */
export type SegmentPlan = {
  readonly records: readonly MadeRecord[];
  readonly end: SegmentEnd;
  /** A record cut short, as a crash leaves it. */
  readonly torn?: Uint8Array;
};

/** The bytes of a segment file. */
export function encodeSegment(archiveId: Uint8Array, segment: number, plan: SegmentPlan): Uint8Array<ArrayBuffer> {
  const head = encodeSegmentHead(archiveId, segment);
  const bytes = joinBytes(head, ...plan.records.map((record) => record.bytes), plan.torn ?? new Uint8Array(0));
  if (plan.end === 'open') return bytes;
  const body = new Uint8Array(Math.ceil(bytes.length / sectorBytes) * sectorBytes);
  body.set(bytes);
  const parity = parityOf(body, plan.end);
  const bodySectors = new Uint32Array(body.length / sectorBytes);
  const paritySectors = new Uint32Array(parity.length / sectorBytes);
  sectorChecksums(body, bodySectors, 0);
  sectorChecksums(parity, paritySectors, 0);
  const footer = encodeFooter({
    bodyBytes: body.length,
    parityBytes: parity.length,
    bodySha256: hash('sha256', body, 'buffer'),
    entries: entriesOf(plan.records),
    bodySectors,
    paritySectors,
  });
  return joinBytes(body, parity, footer);
}

/** The files of a destination's folder: keys three times, segments, and second copies of what is no block or bundle. */
export function archiveFiles(
  archiveId: Uint8Array,
  records: readonly MadeRecord[],
  plans: { readonly segments: readonly SegmentPlan[]; readonly copies?: SegmentEnd },
): ArchiveFiles {
  const files: ArchiveFiles = new Map();
  let keyring = 0;
  for (const { kind, bytes } of records) {
    if (kind !== 'header' && kind !== 'keyring') continue;
    const name = kind === 'header' ? 'header' : `keyring-${++keyring}`;
    for (const copy of [1, 2, 3]) files.set(`keys/${name}.${copy}`, bytes.slice());
  }
  for (const [index, plan] of plans.segments.entries()) {
    files.set(`segments/${segmentName(index + 1)}`, encodeSegment(archiveId, index + 1, plan));
  }
  if (plans.copies !== undefined) {
    const copied = records.filter(({ kind }) => kind !== 'block' && kind !== 'bundle');
    files.set(`copies/${segmentName(1)}`, encodeSegment(archiveId, 1, { records: copied, end: plans.copies }));
  }
  return files;
}

/** Where a record lies in a segment file; the first place. */
export function offsetOf(segment: Uint8Array, record: MadeRecord): number {
  return Buffer.from(segment.buffer, segment.byteOffset, segment.length).indexOf(record.bytes);
}

function parityOf(body: Uint8Array, end: SegmentEnd): Uint8Array {
  if (end === 'no parity') return new Uint8Array(0);
  const builder = new ParityBuilder(body.length);
  builder.add(body);
  return builder.finish();
}

function entriesOf(records: readonly MadeRecord[]): EntryTable {
  const table = new EntryTable();
  let offset = segmentHeadBytes;
  for (const { kind, ordinal, bytes } of records) {
    const crc = parseRecordHeader(bytes).crc;
    table.push({ ordinal, kind: RecordKind[kind], offset, lengthBytes: bytes.length, crc32: crc });
    offset += bytes.length;
  }
  return table;
}

function segmentName(segment: number): string {
  return `${String(segment).padStart(10, '0')}.seg`;
}
