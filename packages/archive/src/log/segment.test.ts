import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinBytes } from '../format/cursor.ts';
import { encodeRecord } from '../format/record.ts';
import { encodeSegmentHead, EntryTable, segmentHeadBytes } from './footer.ts';
import { seededBytes, seededChance, storedRecord } from './fixtures.ts';
import { parityBytesOf, sectorBytes } from './parity.ts';
import { readFrame } from './record-frame.ts';
import { scanRecords, type ScanFinding } from './scan.ts';
import { checkSegment, readFooter, sealSegment } from './segment.ts';
import { readChecked, writeRepaired } from './segment-repair.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const archiveId = seededBytes(1, 16);
const path = '/segments/0000000001.seg';

/** A segment of records of the given sealed lengths, sealed on a disk of its own. */
async function sealed(lengths: readonly number[], parity = true) {
  const disk = new SimulatedDisk();
  const file = await disk.open(path, 'create');
  const entries = new EntryTable();
  const records = lengths.map((length, i) => storedRecord(i + 2, length));
  let offset = segmentHeadBytes;
  for (const record of records) {
    entries.push({ ...readFrame(record, 0)!, offset });
    offset += record.length;
  }
  await file.write(joinBytes(encodeSegmentHead(archiveId, 1), ...records), 0);
  const { footer, badRecords } = await sealSegment(file, offset, entries, { parity });
  assert.deepEqual(badRecords, []);
  return { disk, file, footer, records, endOffset: offset, bytes: disk.files().get(path)! };
}

async function scan(bytes: Uint8Array, range?: { start?: number; end?: number }): Promise<ScanFinding[]> {
  const disk = new SimulatedDisk();
  disk.load(new Map([[path, bytes]]));
  return Array.fromAsync(scanRecords(await disk.open(path, 'read'), range));
}

async function withDamage(bytes: Buffer, damage: (bytes: Buffer) => void) {
  const copy = Buffer.from(bytes);
  damage(copy);
  const disk = new SimulatedDisk();
  disk.load(new Map([[path, copy]]));
  const source = await disk.open(path, 'read');
  return { disk, source, target: await disk.open(`${path}.tmp`, 'create'), bytes: copy };
}

const lengths = fc.array(fc.integer({ min: 57, max: 40_000 }), { minLength: 1, maxLength: 24 });

test('a sealed segment reads back as the records that went in', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, fc.boolean(), async (sizes, parity) => {
      const { file, records, bytes, endOffset } = await sealed(sizes, parity);
      const footer = (await readFooter(file))!;
      assert.equal(footer.parityBytes, parity ? parityBytesOf(footer.bodyBytes) : 0);
      assert.equal(footer.bodyBytes, Math.ceil(endOffset / sectorBytes) * sectorBytes);
      assert.deepEqual(
        [...footer.entries].map((entry) => bytes.subarray(entry.offset, entry.offset + entry.lengthBytes)),
        records.map((record) => Buffer.from(record)),
      );
      const check = await checkSegment(file, footer);
      assert.deepEqual(check, { badBodySectors: [], badParitySectors: [], badRecords: [], isWhole: true });
    }),
    { numRuns: 40 },
  );
});

test('any run of damage as long as the parity, in the body or in the parity, is repaired into a new file, to the byte', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, fc.nat(), fc.nat(), fc.boolean(), async (sizes, place, seed, isInBody) => {
      const { bytes, footer } = await sealed(sizes);
      // A run that begins inside a sector touches one sector more, so it must be a sector shorter.
      const runBytes = Math.max(1, footer.parityBytes - sectorBytes + 1);
      const [start, end] = isInBody ? [0, footer.bodyBytes] : [footer.bodyBytes, footer.bodyBytes + footer.parityBytes];
      const from = start + (place % Math.max(1, end - start - runBytes + 1));
      const { disk, source, target } = await withDamage(bytes, (copy) => {
        copy.set(seededBytes(seed, runBytes), from);
      });
      const repaired = await writeRepaired(source, footer, target, async () => undefined);
      assert.equal(repaired.isWhole, true);
      assert.deepEqual(repaired.lostRecords, []);
      assert.deepEqual(disk.files().get(`${path}.tmp`), bytes);
      assert.notDeepEqual(repaired.healedByParity, undefined);
    }),
    { numRuns: 40 },
  );
});

test('two bad sectors at one place of their columns lose only the records in them, and those are named', async () => {
  const { bytes, footer, records } = await sealed(Array.from({ length: 40 }, () => 9000));
  const perColumn = footer.parityBytes / sectorBytes;
  const bad = [5, 5 + perColumn];
  const { source, target } = await withDamage(bytes, (copy) => {
    for (const sector of bad) copy.fill(0xaa, sector * sectorBytes, (sector + 1) * sectorBytes);
  });
  const touched = [...footer.entries].filter(({ offset, lengthBytes }) =>
    bad.some((sector) => offset < (sector + 1) * sectorBytes && offset + lengthBytes > sector * sectorBytes),
  );
  assert.ok(touched.length > 0 && touched.length <= 6);
  const lost = await writeRepaired(source, footer, target, async () => undefined);
  assert.deepEqual(lost.lostRecords, touched);
  assert.equal(lost.isWhole, false);
  const {
    target: other,
    disk,
    source: again,
  } = await withDamage(bytes, (copy) => {
    for (const sector of bad) copy.fill(0xaa, sector * sectorBytes, (sector + 1) * sectorBytes);
  });
  const healed = await writeRepaired(again, footer, other, async (entry) => records[entry.ordinal - 2]);
  assert.deepEqual([healed.isWhole, healed.healedRecords, healed.lostRecords], [true, touched, []]);
  assert.deepEqual(disk.files().get(`${path}.tmp`), bytes);
});

test('a record read from a damaged sector comes out whole, or says which sectors are lost', async () => {
  const withParity = await sealed([5000, 5000, 5000, 5000]);
  const without = await sealed([5000, 5000, 5000, 5000], false);
  for (const { bytes, footer, records } of [withParity, without]) {
    const { source } = await withDamage(bytes, (copy) => copy.fill(0, sectorBytes, sectorBytes * 2));
    const entry = footer.entries.at(1);
    const read = await readChecked(source, footer, entry.offset, entry.lengthBytes);
    const isHealed = footer.parityBytes > 0;
    assert.deepEqual([read.healedSectors, read.lostSectors], isHealed ? [[1], []] : [[], [1]]);
    assert.equal(Buffer.compare(read.bytes, records[1]!) === 0, isHealed);
  }
});

test('every flipped bit of a sealed segment is noticed', async () => {
  const { bytes } = await sealed([57, 3000, 200, 9000]);
  const chance = seededChance(7);
  for (let i = 0; i < 1500; i++) {
    const at = Math.floor(chance() * bytes.length);
    const bit = 1 << Math.floor(chance() * 8);
    const { source } = await withDamage(bytes, (copy) => (copy[at]! ^= bit));
    const footer = await readFooter(source);
    if (!footer) continue;
    const check = await checkSegment(source, footer);
    const isNoticed = !check.isWhole || check.badParitySectors.length > 0;
    assert.ok(isNoticed, `bit ${bit} of byte ${at}`);
  }
});

test('a segment whose footer is gone, cut short or of another length is read as an open one', async () => {
  const { bytes } = await sealed([3000, 3000]);
  const broken = [
    bytes.subarray(0, bytes.length - 1),
    Buffer.concat([bytes, Buffer.alloc(1)]),
    bytes.subarray(0, 10),
    Buffer.alloc(0),
    Buffer.from(bytes.map((byte, i) => (i === bytes.length - 60 ? byte ^ 1 : byte))),
  ];
  for (const copy of [bytes, ...broken]) {
    const { source } = await withDamage(Buffer.from(copy), () => {});
    assert.equal((await readFooter(source)) !== undefined, copy === bytes);
  }
});

test('sealing again after it was cut short anywhere gives the same file', async () => {
  const { bytes, footer, endOffset } = await sealed([3000, 20_000, 700]);
  for (let cut = endOffset; cut <= bytes.length; cut += 211) {
    const { disk } = await withDamage(bytes.subarray(0, cut), () => {});
    const file = await disk.open(path, 'write');
    await sealSegment(file, endOffset, footer.entries, { parity: true });
    assert.deepEqual(disk.files().get(path), bytes);
  }
});

test('a scan finds every record that damage has not touched and names what is missing', async () => {
  await fc.assert(
    fc.asyncProperty(
      lengths,
      fc.nat(),
      fc.integer({ min: 1, max: 9000 }),
      fc.nat(),
      async (sizes, place, run, seed) => {
        const { bytes, footer, endOffset } = await sealed(sizes, false);
        const from = segmentHeadBytes + (place % (endOffset - segmentHeadBytes));
        const to = Math.min(endOffset, from + run);
        const { bytes: damaged } = await withDamage(bytes, (copy) => {
          // Each byte changes, so that damage is damage.
          for (const [i, byte] of seededBytes(seed, to - from).entries()) copy[from + i]! ^= byte || 1;
        });
        const findings = await scan(damaged, { end: footer.bodyBytes });
        const whole = [...footer.entries].filter((e) => e.offset >= to || e.offset + e.lengthBytes <= from);
        const found = findings.filter((f) => f.found === 'record');
        assert.deepEqual(
          found.map((f) => f.offset),
          whole.map((e) => e.offset),
        );
        const damage = findings.filter((f) => f.found === 'damage');
        assert.equal(damage.length, 1);
        assert.ok(damage[0]!.offset <= from && damage[0]!.offset + damage[0]!.lengthBytes >= to);
        const touched = [...footer.entries].filter((e) => e.offset < to && e.offset + e.lengthBytes > from);
        const [first, last] = [touched[0]!.ordinal, touched[touched.length - 1]!.ordinal];
        const hasNeighbours = first > 2 && last < sizes.length + 1;
        const named = hasNeighbours ? { writer: 0, first, last } : undefined;
        assert.deepEqual(damage[0]!.missing, named);
      },
    ),
    { numRuns: 60 },
  );
});

test('zeros behind the last record are padding, other bytes are damage', async () => {
  const { bytes, footer, endOffset } = await sealed([3000]);
  const body = bytes.subarray(0, footer.bodyBytes);
  assert.deepEqual(
    (await scan(body)).filter((f) => f.found === 'damage'),
    [],
  );
  const dirty = Buffer.from(body);
  dirty[dirty.length - 1] = 1;
  assert.deepEqual((await scan(dirty)).at(-1), {
    found: 'damage',
    offset: endOffset,
    lengthBytes: footer.bodyBytes - endOffset,
  });
});

test('records of versions and kinds that are not known are passed over by their length', async () => {
  const unknown = storedRecord(3, 500, 99);
  const later = encodeRecord({ version: 7, kind: 3, epoch: 0, ordinal: 4, sealed: seededBytes(3, 80) });
  const bytes = joinBytes(encodeSegmentHead(archiveId, 1), storedRecord(2, 500), unknown, later, storedRecord(5, 60));
  const findings = await scan(bytes);
  assert.deepEqual(
    findings.map((f) => (f.found === 'record' ? [f.ordinal, f.kind, f.version] : f)),
    [
      [2, 3, 1],
      [3, 99, 1],
      [4, 3, 7],
      [5, 3, 1],
    ],
  );
});

test('a record longer than the window of the scan, and magics inside it, are one record', async () => {
  const payload = new Uint8Array(3_000_000);
  for (let at = 0; at < payload.length; at += 1000) payload.set(storedRecord(9, 57).subarray(0, 300), at);
  const long = encodeRecord({ kind: 3, epoch: 0, ordinal: 3, sealed: payload });
  const bytes = joinBytes(encodeSegmentHead(archiveId, 1), storedRecord(2, 500), long, storedRecord(5, 60));
  const findings = await scan(bytes);
  assert.deepEqual(
    findings.map((f) => (f.found === 'record' ? f.ordinal : f)),
    [2, 3, 5],
  );
});
