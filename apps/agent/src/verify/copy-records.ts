/** Records that one destination lost, taken from others as they are. */
import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { appendRecords } from '../destinations/append-records.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';

/** From where to where, and how a record is known to be what was sealed under its number. */
export type CopyWork = {
  readonly from: readonly DestinationSession[];
  readonly to: DestinationSession;
  readonly isGenuine: (record: Uint8Array) => boolean;
  readonly signal: AbortSignal;
  readonly onCopied: (ordinal: Ordinal) => void;
};

const copiedAtOnce = 256;
/** A destination takes these again once it has lost them. Of the others the order counts, and each has copies of its own. */
const kinds: readonly number[] = [RecordKind.block, RecordKind.bundle, RecordKind.list, RecordKind.tree];

/** Copies what the others have of these records. @throws what the destination that lacks them throws */
export async function copyRecords(ordinals: Iterable<Ordinal>, work: CopyWork): Promise<void> {
  const all = [...ordinals];
  for (let at = 0; at < all.length; at += copiedAtOnce) {
    const wanted = new Set(all.slice(at, at + copiedAtOnce));
    for (const source of work.from) if (wanted.size > 0) await copyFrom(source, wanted, work);
  }
}

async function copyFrom(source: DestinationSession, wanted: Set<Ordinal>, work: CopyWork): Promise<void> {
  const { to, signal, onCopied } = work;
  const onAppended = (records: readonly Uint8Array[]) => {
    for (const record of records) onCopied(parseRecordHeader(record).ordinal);
  };
  await appendRecords(to, genuineOf(source, wanted, work), { signal, onAppended });
}

/** What a source has of the records that are wanted, and as they were sealed; they are wanted no more. */
async function* genuineOf(
  source: DestinationSession,
  wanted: Set<Ordinal>,
  { isGenuine, signal }: CopyWork,
): AsyncGenerator<Uint8Array> {
  for await (const record of source.read([...wanted], signal)) {
    const { ordinal, kind } = parseRecordHeader(record);
    if (!wanted.has(ordinal) || !kinds.includes(kind) || !isGenuine(record)) continue;
    wanted.delete(ordinal);
    yield record;
  }
}
