import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ArchiveWriter } from '../testing/write-archive.ts';
import { noise } from '../testing/sample-archive.ts';
import { frameLength, readFrame } from './record.ts';
import {
  type Footer,
  parityLengthOf,
  placesOf,
  readFooter,
  readTrailer,
  repairSegment,
  scanSegment,
} from './segment.ts';

const writer = new ArchiveWriter();
for (let index = 0; index < 40; index += 1) writer.block(noise(`block ${index}`, 3_000 + index * 517));
const sealed = writer.segment(1, writer.records, true);

function footerOf(file: Buffer): Footer | undefined {
  const trailer = readTrailer(file.subarray(file.length - 32), file.length);
  return (
    trailer && readFooter(file.subarray(trailer.footerOffset, trailer.footerOffset + trailer.footerLength), trailer)
  );
}

test('a footer lists every record in its place', () => {
  const places = [...placesOf(footerOf(sealed)!)];
  assert.equal(places.length, writer.records.length);
  for (const place of places) assert.equal(readFrame(sealed, place.offset)?.ordinal, place.ordinal);
});

test('any run of damaged bytes as long as the parity is repaired', () => {
  const footer = footerOf(sealed)!;
  const length = parityLengthOf(footer.bodyLength) - 4096 + 1;
  fc.assert(
    fc.property(fc.nat(footer.bodyLength - length), (from) => {
      const damaged = Buffer.from(sealed);
      noise(`garbage ${from}`, length).copy(damaged, from);
      assert.equal(repairSegment(damaged, footer).lostSectors, 0);
      assert.ok(damaged.equals(sealed));
    }),
    { numRuns: 25 },
  );
});

test('two bad sectors at one place of the columns stay bad, and one does not', () => {
  const footer = footerOf(sealed)!;
  const damaged = Buffer.from(sealed);
  damaged[10]! ^= 1;
  damaged[10 + footer.parityLength]! ^= 1;
  damaged[10 + 4096]! ^= 1;
  assert.deepEqual(repairSegment(damaged, footer), { repairedSectors: 1, lostSectors: 2 });
});

test('a footer with any byte changed is no footer', () => {
  const footer = footerOf(sealed)!;
  const start = footer.bodyLength + footer.parityLength;
  fc.assert(
    fc.property(fc.integer({ min: start, max: sealed.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const damaged = Buffer.from(sealed);
      damaged[at]! ^= bits;
      assert.equal(footerOf(damaged), undefined);
    }),
  );
});

test('scanning finds every record that is whole and names what lies between', () => {
  const open = writer.segment(1, writer.records, false);
  fc.assert(
    fc.property(fc.integer({ min: 32, max: open.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const damaged = Buffer.from(open);
      damaged[at]! ^= bits;
      const { frames, damage } = scanSegment(damaged);
      const found = [...frames].map((frame) => frame.ordinal);
      assert.equal(found.length, writer.records.length - 1);
      assert.equal(damage.length, 1);
      assert.ok(damage[0]!.offset <= at && at < damage[0]!.offset + damage[0]!.length);
    }),
    { numRuns: 40 },
  );
});

test('bytes made to look like a million records do not hold a scan up', () => {
  const head = Buffer.from(writer.records[5]!.whole.subarray(0, 52));
  head.writeUInt32LE(4_000_000, 20);
  const flood = Buffer.concat(Array.from({ length: 300_000 }, () => head));
  assert.ok(frameLength(flood, 0)! > 4_000_000);
  const startedAt = Date.now();
  const { frames, damage } = scanSegment(flood);
  assert.equal([...frames].length, 0);
  assert.equal(damage.length, 1);
  assert.ok(Date.now() - startedAt < 10_000);
});

test('zeros that fill a body up are no damage', () => {
  const { frames, damage } = scanSegment(
    Buffer.concat([writer.segment(1, writer.records, false), Buffer.alloc(5_000)]),
  );
  assert.equal([...frames].length, writer.records.length);
  assert.deepEqual(damage, []);
});
