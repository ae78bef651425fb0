import { type ArchiveFiles, archiveFiles, offsetOf } from './archive-files.ts';
import { type MadeRecord, newestOf } from './archive-maker.ts';
import { begin, expectOf, type GoldenArchive, putVolume } from './golden-begin.ts';
import { formatOrdinal } from '../format/ordinal.ts';
import { golden, prose, putFile } from './golden-rows.ts';

/**
 * Damage of four kinds: a sector that parity gives back, a tree record that has a second copy, a first copy of the
 * keyring that is broken, and a block that nothing gives back.
 */
export async function makeDamaged(): Promise<GoldenArchive> {
  const scene = begin('damaged');
  const { maker } = scene;
  const home = putVolume(scene);
  putFile(scene, `${home}/healed`, [maker.random(6000)], { kind: 'block' });
  const healed = newestOf(maker.records);
  putFile(scene, `${home}/whole`, [prose('whole', 500)]);
  await scene.commit({ time: golden(0) });
  const split = maker.records.length;
  putFile(scene, `${home}/lost`, [maker.random(5000), prose('rest', 800)], { kind: 'block' });
  const lost = newestOf(maker.records, 1);
  await scene.commit({ time: golden(60), isCheckpoint: true });
  const tree = maker.records.find(({ kind }) => kind === 'tree')!;
  const segments = [
    { records: maker.records.slice(0, split), end: 'parity' },
    { records: maker.records.slice(split), end: 'no parity' },
  ] as const;
  const files = archiveFiles(maker.archiveId, maker.records, { segments, copies: 'no parity' });
  const [first, second] = ['segments/0000000001.seg', 'segments/0000000002.seg'];
  spoilSector(files, first, healed);
  spoil(files, second, { record: lost, at: 3000 });
  spoil(files, second, { record: tree, at: 60 });
  files.get('keys/keyring-1.1')![200]! ^= 0x10;
  const damage = {
    healed: [{ segment: 1, ordinal: formatOrdinal(healed.ordinal), by: 'parity' }],
    fromCopies: [formatOrdinal(tree.ordinal)],
    lostRecords: [formatOrdinal(lost.ordinal)],
    lostFiles: [`${home}/lost`],
  };
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene, { damage }) };
}

/** Overwrites a whole sector in the middle of a record. */
function spoilSector(files: ArchiveFiles, path: string, record: MadeRecord): void {
  const bytes = files.get(path)!;
  const sector = Math.floor((offsetOf(bytes, record) + record.bytes.length / 2) / 4096);
  bytes.fill(0xee, sector * 4096, (sector + 1) * 4096);
}

function spoil(files: ArchiveFiles, path: string, { record, at }: { record: MadeRecord; at: number }): void {
  const bytes = files.get(path)!;
  bytes[offsetOf(bytes, record) + at]! ^= 1;
}
