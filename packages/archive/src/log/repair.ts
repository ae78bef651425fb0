import type { Ordinal } from '../format/ordinal.ts';
import { type SegmentFolder, summarize } from './catalogue.ts';
import { withFile } from './disk.ts';
import { encodeSegmentHead, EntryTable, type SegmentFooter, segmentHeadBytes } from './footer.ts';
import { readKeyFile, writeKeyFiles } from './key-files.ts';
import { keepRetired } from './retired.ts';
import { readAround } from './scan.ts';
import { type DamagedRecord, keyRecordsIn, type ScrubbedFolder, type ScrubFinding, type ScrubReport } from './scrub.ts';
import { sealSegment } from './segment.ts';
import { type RecordSource, writeRepaired } from './segment-repair.ts';
import type { SegmentSet } from './segment-set.ts';

/** What a repair did. */
export type RepairReport = {
  /** Segments that were written anew, the old file being kept in the retired folder. */
  readonly rewritten: readonly {
    readonly folder: SegmentFolder;
    readonly segment: number;
    readonly isWhole: boolean;
  }[];
  /** Records that were stored a second time, from copies or keys, since their place cannot be mended. */
  readonly storedAgain: readonly Ordinal[];
  readonly keyFiles: readonly string[];
  /** Records nothing here gives back. */
  readonly lost: readonly DamagedRecord[];
};

/** What repairing works with. */
export type Repairing = {
  readonly folder: ScrubbedFolder;
  readonly archiveId: Uint8Array;
  readonly parity: boolean;
  /** Stores a record, which is known, once more. */
  readonly storeAgain: (bytes: Uint8Array) => Promise<void>;
};

/**
 * Mends what a scrub found: sealed segments are written anew into files that take their names, never changed in place.
 *
 * Bad sectors come from parity, records from second copies, keys or, for second copies, from the records themselves. A lost
 * footer is made again from the records. Done twice it does nothing the second time.
 */
export async function repairFolder(repairing: Repairing, report: ScrubReport): Promise<RepairReport> {
  const rewritten: { folder: SegmentFolder; segment: number; isWhole: boolean }[] = [];
  const storedAgain: Ordinal[] = [];
  const lost: DamagedRecord[] = [];
  for (const finding of report.findings) {
    const { folder, segment } = finding;
    lost.push(...finding.records.filter(({ origin }) => origin === undefined));
    if (finding.fault === 'body' && isRewritable(finding)) {
      rewritten.push({ folder, segment, isWhole: await rewriteBody(repairing, finding) });
    }
    if (finding.fault === 'footer') {
      await rewriteFooter(repairing, finding);
      rewritten.push({ folder, segment, isWhole: finding.records.length === 0 });
    }
    storedAgain.push(...(await storeMissing(repairing, finding)));
  }
  return { rewritten, storedAgain, keyFiles: await repairKeys(repairing, report), lost };
}

/** Damage without any bad sector is what was sealed already damaged: its bytes are not in the footer. */
function isRewritable({ badBodySectors, badParitySectors }: ScrubFinding): boolean {
  return badBodySectors.length + badParitySectors.length > 0;
}

function setOf(folder: ScrubbedFolder, finding: ScrubFinding): SegmentSet {
  return finding.folder === 'segments' ? folder.segments : folder.copies;
}

async function rewriteBody({ folder }: Repairing, finding: ScrubFinding): Promise<boolean> {
  const set = setOf(folder, finding);
  const { segment } = finding;
  const footer = (await set.footerOf(segment))!;
  const elsewhere: RecordSource = async ({ ordinal }) => {
    if (finding.folder === 'segments') return (await folder.reader.readElsewhere(ordinal))?.bytes;
    const outcome = await folder.reader.readOne(ordinal);
    return outcome.status === 'found' ? outcome.bytes : undefined;
  };
  const path = set.pathOf(segment);
  await folder.disk.remove(`${path}.tmp`);
  const repaired = await set.withSegment(segment, (source) =>
    withFile(folder.disk, `${path}.tmp`, 'create', (target) => writeRepaired(source, footer, target, elsewhere)),
  );
  await exchange(folder, set, segment);
  return repaired.isWhole;
}

/** Seals a segment anew whose footer was lost, from the records that are in it. */
async function rewriteFooter({ folder, archiveId, parity }: Repairing, finding: ScrubFinding): Promise<void> {
  const set = setOf(folder, finding);
  const { segment } = finding;
  const path = set.pathOf(segment);
  const known = folder.catalogue.get(finding.folder, segment);
  const found = await set.scan(segment);
  const entries = new EntryTable();
  for (const entry of found) if (!known || entry.offset < known.endOffset) entries.push(entry);
  const last = entries.count > 0 ? entries.at(entries.count - 1) : undefined;
  const endOffset = known?.endOffset ?? (last ? last.offset + last.lengthBytes : segmentHeadBytes);
  await folder.disk.remove(`${path}.tmp`);
  const { footer, fileBytes } = await set.withSegment(segment, (source) =>
    withFile(folder.disk, `${path}.tmp`, 'create', async (target) => {
      await target.write(encodeSegmentHead(archiveId, segment), 0);
      const stepBytes = 1024 * 1024;
      for (let at = segmentHeadBytes; at < endOffset; at += stepBytes) {
        const piece = new Uint8Array(Math.min(stepBytes, endOffset - at));
        await readAround(source, piece, at);
        await target.write(piece, at);
      }
      return sealSegment(target, endOffset, entries, { parity });
    }),
  );
  await exchange(folder, set, segment);
  await folder.catalogue.put(summaryOf(finding, footer, endOffset, fileBytes));
}

function summaryOf({ folder, segment }: ScrubFinding, footer: SegmentFooter, endOffset: number, fileBytes: number) {
  return summarize(footer.entries, { folder, segment, state: 'sealed', endOffset, fileBytes });
}

/** Gives a repaired file its segment's name. The damaged one stays under a name in the retired folder, where links exist. */
async function exchange(folder: ScrubbedFolder, set: SegmentSet, segment: number): Promise<void> {
  const { disk } = folder;
  await keepRetired(disk, `${folder.dir}/retired`, set.pathOf(segment));
  await disk.rename(`${set.pathOf(segment)}.tmp`, set.pathOf(segment));
  await disk.syncDirectory(set.directory);
  await set.changed(segment);
}

/** Stores records again whose place is gone or is not covered by a footer. */
async function storeMissing({ folder, storeAgain }: Repairing, finding: ScrubFinding): Promise<Ordinal[]> {
  const stored: Ordinal[] = [];
  if (finding.folder === 'copies') return stored;
  for (const { ordinal, origin } of finding.records) {
    if (origin === undefined) continue;
    const outcome = await folder.reader.readOne(ordinal);
    if (outcome.status !== 'found' || outcome.origin === 'segment') continue;
    await storeAgain(outcome.bytes);
    stored.push(ordinal);
  }
  return stored;
}

async function repairKeys({ folder }: Repairing, report: ScrubReport): Promise<string[]> {
  const directory = `${folder.dir}/keys`;
  const stored = report.keyFiles.length > 0 ? await keyRecordsIn(folder.segments) : new Map<string, Uint8Array>();
  const mended: string[] = [];
  for (const { name } of report.keyFiles) {
    const record = (await readKeyFile(folder.disk, directory, name)).record ?? stored.get(name);
    if (!record) continue;
    await writeKeyFiles(folder.disk, directory, record);
    mended.push(name);
  }
  return mended;
}
