import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import type { Extent } from '../format/extent.ts';
import { packedBlockBytes } from '../index/block-table.ts';
import { RecentBlocks } from './recent-blocks.ts';

const blockOf = (number: number): Extent => ({
  ordinal: number + 2 ** 33,
  offset: number % 1000,
  length: number + 1,
  sha256: hash('sha256', String(number), 'buffer'),
});

/** What lies in packed rows, read by the words of `packedBlockBytes`. */
function unpack(packed: Uint8Array): Extent[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  return Array.from({ length: packed.length / packedBlockBytes }, (_, row) => {
    const at = row * packedBlockBytes;
    return {
      ordinal: view.getFloat64(at + 32, true),
      offset: view.getUint32(at + 40, true),
      length: view.getUint32(at + 44, true),
      sha256: Buffer.from(packed.slice(at, at + 32)),
    };
  });
}

test('every block is found where it lies until as many as fit were added after it, and each is handed out once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 5 }),
      (maxRows, turns) => {
        const recent = new RecentBlocks(maxRows);
        let added = 0;
        for (const count of turns) {
          const from = added;
          for (; added < from + count; added++) recent.add(blockOf(added));
          const expected = Array.from({ length: count }, (_, at) => blockOf(from + at));
          assert.deepEqual(unpack(recent.takeFresh()), expected);
          const firstKept = added === 0 ? 0 : Math.floor((added - 1) / maxRows) * maxRows;
          for (let number = 0; number < added; number += 7) {
            const { sha256 } = blockOf(number);
            assert.deepEqual(recent.find(sha256), number >= firstKept ? blockOf(number) : undefined);
          }
          assert.equal(recent.find(blockOf(added).sha256), undefined);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('blocks whose hashes begin alike are told apart, and a great many of them cost nothing but being stored again', () => {
  const recent = new RecentBlocks(65_536);
  const alike = Array.from({ length: 2000 }, (_, at) => {
    const sha256 = Buffer.alloc(32, 0xab);
    sha256.writeUInt32LE(at, 28);
    return { ...blockOf(at), sha256 };
  });
  for (const block of alike) recent.add(block);
  for (const block of alike) {
    const found = recent.find(block.sha256);
    assert.ok(found === undefined || found.ordinal === block.ordinal);
  }
  assert.deepEqual(recent.find(alike[0]!.sha256), alike[0]);
  assert.equal(recent.find(Buffer.alloc(32, 0xab)), undefined);
  assert.deepEqual(unpack(recent.takeFresh()), alike);
});
