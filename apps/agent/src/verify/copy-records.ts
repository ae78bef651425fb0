/** Records that one destination lost, taken from others as they are. */
import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
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
const fragmentBytes = 3 * 1024 * 1024;
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
  let records: Uint8Array[] = [];
  let bytes = 0;
  const send = async () => {
    if (records.length === 0) return;
    work.signal.throwIfAborted();
    await work.to.append(new Uint8Array(Buffer.concat(records)));
    for (const record of records) work.onCopied(parseRecordHeader(record).ordinal);
    [records, bytes] = [[], 0];
  };
  for await (const record of source.read([...wanted], work.signal)) {
    const { ordinal, kind } = parseRecordHeader(record);
    if (!wanted.has(ordinal) || !kinds.includes(kind) || !work.isGenuine(record)) continue;
    wanted.delete(ordinal);
    if (bytes + record.length > fragmentBytes) await send();
    // What a session hands out may lie in a buffer that it uses again.
    records.push(record.slice());
    bytes += record.length;
  }
  await send();
}
