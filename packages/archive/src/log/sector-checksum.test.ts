import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import test from 'node:test';
import fc from 'fast-check';
import { sectorBytes } from './parity.ts';
import { appendSector } from './sector-checksum.ts';

test('the checksum of bytes and the sectors behind them comes from their checksums alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.integer(), { maxLength: 4 }), (start, seeds) => {
      const sectors = seeds.map((seed) => new Uint8Array(sectorBytes).map((_, at) => (seed * (at + 1)) >>> 3));
      const joined = sectors.reduce((checksum, sector) => appendSector(checksum, crc32(sector)), crc32(start));
      assert.equal(joined, crc32(Buffer.concat([start, ...sectors])));
    }),
    { numRuns: 60 },
  );
});

test('a checksum of other bytes gives another one', () => {
  const sector = crc32(new Uint8Array(sectorBytes).fill(7));
  assert.notEqual(appendSector(crc32(Uint8Array.of(1)), sector), appendSector(crc32(Uint8Array.of(2)), sector));
  assert.notEqual(appendSector(1, sector), appendSector(1, sector ^ 1));
});
