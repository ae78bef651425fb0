import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { createFixedChunker, fixedPieceBytes } from './fixed.ts';

test('fixed pieces are 64 KiB each but the last, however the reads are split', () => {
  const chunker = createFixedChunker();
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3_000_000 }),
      fc.array(fc.integer({ min: 1, max: 2_000_000 }), { minLength: 1, maxLength: 6 }),
      (fileBytes, reads) => {
        const file = new Uint8Array(fileBytes).map((_, i) => (i >> 12) ^ i);
        const pieces: Uint8Array[] = [];
        let at = 0;
        chunker.begin();
        for (let turn = 0, isEnd = false; !isEnd; turn += 1) {
          const space = chunker.space();
          const bytes = Math.min([...reads, 300_000][turn % (reads.length + 1)]!, space.length, fileBytes - at);
          space.set(file.subarray(at, at + bytes));
          at += bytes;
          isEnd = at === fileBytes;
          for (const [offset, length] of chunker.cuts(bytes, isEnd)) pieces.push(chunker.bytes(offset, length).slice());
        }
        assert.equal(pieces.length, Math.ceil(fileBytes / fixedPieceBytes));
        assert.ok(pieces.slice(0, -1).every((piece) => piece.length === fixedPieceBytes));
        assert.equal(Buffer.compare(Buffer.concat(pieces), file), 0);
      },
    ),
    { numRuns: 30 },
  );
});

test('space is left for more than a MiB whatever is under way', () => {
  const chunker = createFixedChunker();
  chunker.begin();
  for (let turn = 0; turn < 40; turn += 1) {
    const space = chunker.space();
    assert.ok(space.length > 1024 * 1024);
    assert.ok([...chunker.cuts(space.length - (turn % 3), false)].length > 0);
  }
});
