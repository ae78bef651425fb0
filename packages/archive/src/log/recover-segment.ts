import type { Ordinal } from '../format/ordinal.ts';
import { type Disk, type DiskFile, withFile } from './disk.ts';
import { encodeSegmentHead, EntryTable, isSegmentHead, mostSegmentBytes, segmentHeadBytes } from './footer.ts';
import { keepRetired } from './retired.ts';
import { readAround, type ScanFinding, scanRecords } from './scan.ts';

/** Bytes of an open segment that should hold records and do not. */
export type SegmentDamage = {
  readonly segment: number;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly missing?: { readonly writer: number; readonly first: number; readonly last: number };
};

/** An open segment after a crash. */
export type RecoveredSegment = {
  readonly entries: EntryTable;
  /** Where the next record may go. */
  readonly endOffset: number;
  /** Damage to what was acknowledged. */
  readonly damage: readonly SegmentDamage[];
  /** Whether records may be added behind. */
  readonly isAppendable: boolean;
};

/** What to recover. */
export type RecoverySource = {
  readonly disk: Disk;
  readonly directory: string;
  /** Where what is cut off and not known to be worthless is kept. */
  readonly retiredDirectory: string;
  readonly path: string;
  readonly archiveId: Uint8Array;
  readonly segment: number;
  /** Up to where its records were acknowledged; undefined where nobody knows. */
  readonly acknowledgedBytes: number | undefined;
};

type Survey = {
  readonly fileBytes: number;
  readonly hasHead: boolean;
  readonly records: EntryTable;
  readonly damage: readonly (ScanFinding & { found: 'damage' })[];
  /** Where the last record ends. */
  readonly lastEnd: number;
};

/**
 * Brings an open segment back after a crash.
 *
 * What was acknowledged stays byte for byte, damaged or not, and damage to it is named. Behind it whole records stay and
 * what is no record goes. Unless all of it was acknowledged, the segment is copied and the copy takes its name: the kernel
 * may show pages that never reached the disk (a sync failed), and only bytes written anew are sure to. What is cut without
 * being known to be worthless is kept in the retired folder.
 */
export async function recoverSegment(source: RecoverySource): Promise<RecoveredSegment> {
  const survey = await withFile(source.disk, source.path, 'read', (file) => surveyFile(file, source));
  const { acknowledgedBytes: acknowledged } = source;
  const keptBytes = Math.min(survey.fileBytes, Math.max(segmentHeadBytes, acknowledged ?? survey.lastEnd));
  const damage = damageBelow(survey, source, acknowledged ?? survey.lastEnd);
  const isClean = survey.hasHead && survey.fileBytes === keptBytes && survey.lastEnd === keptBytes;
  if (isClean && acknowledged === keptBytes) {
    return { entries: survey.records, endOffset: keptBytes, damage, isAppendable: damage.length === 0 };
  }
  const isCutBlindly = acknowledged === undefined && survey.fileBytes > survey.lastEnd;
  if ((isCutBlindly || damage.length > 0) && !(await keepRetired(source.disk, source.retiredDirectory, source.path))) {
    const endOffset = Math.max(survey.lastEnd, keptBytes);
    return { entries: survey.records, endOffset, damage, isAppendable: false };
  }
  const copied = await copySegment(source, survey, keptBytes);
  return { ...copied, damage, isAppendable: damage.length === 0 };
}

async function surveyFile(file: DiskFile, source: RecoverySource): Promise<Survey> {
  const fileBytes = Math.min(await file.size(), mostSegmentBytes);
  const head = new Uint8Array(segmentHeadBytes);
  await readAround(file, head, 0);
  const records = new EntryTable();
  const seen = new Set<Ordinal>();
  const damage: (ScanFinding & { found: 'damage' })[] = [];
  let lastEnd = segmentHeadBytes;
  for await (const finding of scanRecords(file)) {
    if (finding.found === 'damage') damage.push(finding);
    // A sealing that was cut short may have left parity in which records of a short body show again.
    else if (!seen.has(finding.ordinal)) {
      seen.add(finding.ordinal);
      records.push(finding);
      lastEnd = finding.offset + finding.lengthBytes;
    }
  }
  return { fileBytes, hasHead: isSegmentHead(head, source.archiveId, source.segment), records, damage, lastEnd };
}

/** Damage in front of `end`, and acknowledged bytes that are not there any more or read as zeros. */
function damageBelow(survey: Survey, { segment }: RecoverySource, end: number): SegmentDamage[] {
  const found = survey.damage
    .filter(({ offset }) => offset < end)
    .map(({ offset, lengthBytes, missing }) => ({
      segment,
      offset,
      lengthBytes: Math.min(lengthBytes, end - offset),
      ...(missing ? { missing } : {}),
    }));
  const coveredEnd = found.reduce((most, d) => Math.max(most, d.offset + d.lengthBytes), survey.lastEnd);
  if (end > coveredEnd) found.push({ segment, offset: coveredEnd, lengthBytes: end - coveredEnd });
  return found;
}

/** Writes head, kept bytes and the records behind them into a new file that takes the segment's name. */
async function copySegment(source: RecoverySource, survey: Survey, keptBytes: number) {
  const { disk, path, directory } = source;
  const entries = new EntryTable();
  const temporary = `${path}.tmp`;
  await disk.remove(temporary);
  let endOffset = Math.max(segmentHeadBytes, keptBytes);
  await withFile(disk, path, 'read', (from) =>
    withFile(disk, temporary, 'create', async (to) => {
      await to.write(encodeSegmentHead(source.archiveId, source.segment), 0);
      await copyBytes(from, to, [segmentHeadBytes, keptBytes], segmentHeadBytes);
      for (const entry of survey.records) {
        const end = entry.offset + entry.lengthBytes;
        if (end <= keptBytes) {
          entries.push(entry);
          continue;
        }
        await copyBytes(from, to, [entry.offset, end], endOffset);
        entries.push({ ...entry, offset: endOffset });
        endOffset += entry.lengthBytes;
      }
      await to.sync();
    }),
  );
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  return { entries, endOffset };
}

async function copyBytes(from: DiskFile, to: DiskFile, range: readonly [number, number], target: number) {
  const stepBytes = 1024 * 1024;
  for (let done = range[0]; done < range[1]; done += stepBytes) {
    const piece = new Uint8Array(Math.min(stepBytes, range[1] - done));
    await readAround(from, piece, done);
    await to.write(piece, target + done - range[0]);
  }
}
