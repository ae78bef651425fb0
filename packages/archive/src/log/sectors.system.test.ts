import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@holdfast/base';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind } from '../format/record.ts';
import { ArchiveFolder, type FolderPosition } from './archive-folder.ts';
import { keyringRecord, seededBytes, seededChance, storedRecord } from './fixtures.ts';
import type { SegmentEntry } from './footer.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const archiveId = seededBytes(1, 16);
const sectorBytes = 4096;

type Kept = {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly records: ReadonlyMap<Ordinal, Uint8Array>;
  readonly places: readonly (SegmentEntry & { segment: number })[];
  readonly acknowledged: FolderPosition;
  readonly parity: boolean;
};

function open(disk: SimulatedDisk, kept: { parity: boolean; acknowledged?: FolderPosition }): Promise<ArchiveFolder> {
  const base = { dir: '/a', archiveId, clock: systemClock, mode: 'write', copies: true } as const;
  return ArchiveFolder.open({ ...base, disk, segmentBodyBytes: 40 * 1024, ...kept });
}

/** A folder of three or four segments; with parity all of them are sealed, without it the last one is open. */
async function makeFolder(parity: boolean): Promise<Kept> {
  const disk = new SimulatedDisk();
  const folder = await open(disk, { parity });
  const kinds = [RecordKind.block, RecordKind.block, RecordKind.bundle, RecordKind.tree, RecordKind.commit];
  const records = new Map<Ordinal, Uint8Array>([[1, keyringRecord(1, 1)]]);
  for (let i = 2; i < 40; i++) records.set(i, storedRecord(i, 200 + ((i * 48271) % 7000), kinds[i % 5]));
  for (const bytes of records.values()) await folder.append(bytes);
  await folder.sync();
  await folder.settle();
  if (parity) await folder.seal();
  const acknowledged = await folder.sync();
  const places = await Array.fromAsync(folder.list());
  await folder.close();
  return { files: disk.files(), records, places, acknowledged, parity };
}

/** Every sector of every file, and the same file with that sector zeroed, then filled with noise. */
function* losses(
  files: Kept['files'],
): Generator<{ path: string; from: number; to: number; damaged: Uint8Array; name: string }> {
  for (const [path, bytes] of files) {
    for (let from = 0; from < bytes.length; from += sectorBytes) {
      const to = Math.min(bytes.length, from + sectorBytes);
      const zeroed = Uint8Array.from(bytes).fill(0, from, to);
      yield { path, from, to, damaged: zeroed, name: `${path} zeroed at ${from}` };
      const noisy = Uint8Array.from(bytes);
      noisy.set(seededBytes(from + 1, to - from), from);
      yield { path, from, to, damaged: noisy, name: `${path} randomised at ${from}` };
    }
  }
}

/** Ordinals of blocks and bundles (what has no second copy) that touch these bytes of a segment. */
function touchedBy(kept: Kept, loss: { path: string; from: number; to: number }): Set<Ordinal> {
  const segment = Number(/^\/a\/segments\/(\d+)\.seg$/.exec(loss.path)?.[1] ?? 0);
  const isSingle = (kind: number) => kind === RecordKind.block || kind === RecordKind.bundle;
  const touched = kept.places.filter(
    (p) => p.segment === segment && p.offset < loss.to && p.offset + p.lengthBytes > loss.from && isSingle(p.kind),
  );
  return new Set(touched.map(({ ordinal }) => ordinal));
}

async function readAll(folder: ArchiveFolder, kept: Kept, what: string): Promise<Set<Ordinal>> {
  const lost = new Set<Ordinal>();
  for await (const outcome of folder.read([...kept.records.keys()])) {
    if (outcome.status === 'found') {
      assert.deepEqual(Buffer.from(outcome.bytes), Buffer.from(kept.records.get(outcome.ordinal)!), what);
      continue;
    }
    assert.equal(outcome.status, 'lost', `${what}: ${outcome.ordinal}`);
    lost.add(outcome.ordinal);
    const place = kept.places.find(({ ordinal }) => ordinal === outcome.ordinal)!;
    assert.deepEqual(
      [outcome.status === 'lost' && outcome.segment, outcome.status === 'lost' && outcome.offset],
      [place.segment, place.offset],
    );
  }
  return lost;
}

for (const parity of [true, false]) {
  const title = parity
    ? 'any one sector lost, sealed with parity: nothing is lost and all is mended'
    : 'any one sector lost, without parity: nothing but blocks in it is lost, and those are named';
  test(title, async () => {
    const kept = await makeFolder(parity);
    let [seen, healed] = [0, 0];
    for (const loss of losses(kept.files)) {
      seen++;
      const disk = new SimulatedDisk();
      disk.load(new Map([...kept.files, [loss.path, loss.damaged]]));
      const folder = await open(disk, kept);
      const lost = await readAll(folder, kept, loss.name);
      const touched = touchedBy(kept, loss);
      for (const ordinal of lost) assert.ok(!parity && touched.has(ordinal), `${loss.name}: ${ordinal} is lost`);
      const report = await folder.scrub();
      const repaired = await folder.repair();
      assert.deepEqual(new Set(repaired.lost.map(({ ordinal }) => ordinal)), lost, loss.name);
      if (report.findings.length > 0) healed++;
      assert.deepEqual(await readAll(folder, kept, loss.name), lost, loss.name);
      const after = await folder.scrub();
      const leftOver = after.findings.flatMap(({ records }) => records.map(({ ordinal }) => ordinal));
      assert.deepEqual(new Set(leftOver), lost, `${loss.name}: after the repair`);
      assert.deepEqual([after.keyFiles, after.indexEntries], [[], 0], loss.name);
      if (parity) assert.deepEqual(after.findings, [], loss.name);
      await folder.close();
    }
    assert.ok(seen > 100 && healed > 40, `${seen} losses, ${healed} of them found in segments`);
  });
}

test('every one of a sample of flipped bits in segments and keys is mended or named', async () => {
  const kept = await makeFolder(true);
  const chance = seededChance(11);
  const paths = [...kept.files.keys()].filter((path) => /segments|copies|keys/.test(path));
  for (let i = 0; i < 250; i++) {
    const path = paths[Math.floor(chance() * paths.length)]!;
    const bytes = Uint8Array.from(kept.files.get(path)!);
    const at = Math.floor(chance() * bytes.length);
    bytes[at]! ^= 1 << Math.floor(chance() * 8);
    const disk = new SimulatedDisk();
    disk.load(new Map([...kept.files, [path, bytes]]));
    const folder = await open(disk, kept);
    const report = await folder.scrub();
    // Copies of keys are mended by opening already.
    const isMended = Buffer.compare(disk.files().get(path)!, kept.files.get(path)!) === 0;
    assert.ok(path.startsWith('/a/keys/') ? isMended : report.findings.length > 0, `${path} at ${at}`);
    assert.deepEqual((await folder.repair()).lost, []);
    const { findings, keyFiles } = await folder.scrub();
    assert.deepEqual([findings, keyFiles], [[], []], `${path} at ${at}`);
    await folder.close();
    for (const [name, original] of kept.files) {
      if (/segments|copies|keys/.test(name)) assert.deepEqual(disk.files().get(name), Buffer.from(original), name);
    }
  }
});
