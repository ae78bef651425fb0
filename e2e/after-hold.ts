/** What is left of an archive's folder once all that live sets leave out has been removed, as a destination may after its hold. */
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isLetGo, parseLive, parseRecordHeader, RecordKind, splitRecord, type Ordinal } from '@holdfast/archive';
import { nodeDisk, scanRecords } from '@holdfast/archive/log';

const headBytes = 32;

/** A record of a folder with its bytes. */
type Found = { readonly ordinal: Ordinal; readonly kind: number; readonly bytes: Uint8Array };

/** All records of a folder's segments, by scanning them. */
export async function* recordsOfFolder(folder: string): AsyncGenerator<Found> {
  const directory = path.join(folder, 'segments');
  for (const name of readdirSync(directory).toSorted()) yield* recordsOfSegment(path.join(directory, name));
}

async function* recordsOfSegment(segment: string): AsyncGenerator<Found> {
  const file = await nodeDisk.open(segment, 'read');
  try {
    for await (const finding of scanRecords(file)) {
      if (finding.found !== 'record') continue;
      const bytes = new Uint8Array(finding.lengthBytes);
      await file.read(bytes, finding.offset);
      yield { ordinal: finding.ordinal, kind: finding.kind, bytes };
    }
  } finally {
    await file.close();
  }
}

/** Epochs of the sealed records of a folder; those of keyrings are not counted, which are never let go. */
export async function epochsInFolder(folder: string): Promise<ReadonlySet<number>> {
  const epochs = new Set<number>();
  for await (const { kind, bytes } of recordsOfFolder(folder)) {
    const { sealedBytes, epoch } = parseRecordHeader(bytes);
    if (kind !== RecordKind.keyring && sealedBytes > 0) epochs.add(epoch);
  }
  return epochs;
}

/**
 * Makes a copy of an archive's folder below `into` without what its newest live set leaves out; returns the copy and how
 * many records are gone. What is left lies in one segment that was never sealed.
 */
export async function copyAfterHold(
  folder: string,
  into: string,
): Promise<{ readonly folder: string; readonly gone: number }> {
  const records = await Array.fromAsync(recordsOfFolder(folder));
  const sets = records
    .filter(({ kind }) => kind === RecordKind.live)
    .map(({ bytes }) => parseLive(splitRecord(bytes).open));
  const newest = Math.max(...sets.map(({ number }) => number));
  const parts = sets.filter(({ number }) => number === newest);
  if (parts.length !== parts[0]?.parts) throw new Error(`live set ${newest} is not whole`);
  const isKept = ({ ordinal, kind }: Found) =>
    kind === RecordKind.header || kind === RecordKind.keyring || !isLetGo(parts, ordinal);
  const kept = records.filter(isKept);
  const copy = path.join(into, path.basename(folder));
  mkdirSync(path.join(copy, 'segments'), { recursive: true });
  if (existsSync(path.join(folder, 'keys')))
    cpSync(path.join(folder, 'keys'), path.join(copy, 'keys'), { recursive: true });
  const head = Buffer.alloc(headBytes);
  head.write('HFSEG1');
  head.set(Uint8Array.fromHex(path.basename(folder).replace(/^holdfast-/, '')), 8);
  head.writeBigUInt64LE(1n, 24);
  writeFileSync(
    path.join(copy, 'segments', '0000000001.seg'),
    Buffer.concat([head, ...kept.map(({ bytes }) => bytes)]),
  );
  return { folder: copy, gone: records.length - kept.length };
}
