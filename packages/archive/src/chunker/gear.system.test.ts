import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import fc from 'fast-check';

import { compileGear, gearHashFile } from '../../assembly/build.ts';
import { type Chunker, restartBytes } from './chunker.ts';
import { createGearChunker, deriveGearTable } from './gear.node.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const key = Uint8Array.from({ length: 32 }, (_, i) => i);

/** Lengths of the pieces by the words of docs/formats/archive-v1.md section 12, one range, slow and plain. */
function cutPlainly(table: BigUint64Array, range: Uint8Array): number[] {
  const lengths: number[] = [];
  let start = 0;
  let h = 0n;
  for (let i = 0; i < range.length; i += 1) {
    const length = i + 1 - start;
    if (length > 65_536) h = BigInt.asUintN(64, (h << 1n) + table[range[i]!]!);
    const isCut = length === 1_048_576 || (length > 65_536 && (length < 262_144 ? h >> 44n === 0n : h >> 48n === 0n));
    if (!isCut) continue;
    lengths.push(length);
    start = i + 1;
    h = 0n;
  }
  if (start < range.length) lengths.push(range.length - start);
  return lengths;
}

/** The same in two 32-bit halves: thirty times as fast, so that large inputs can be compared. */
function cutInHalves(table: BigUint64Array, range: Uint8Array): number[] {
  const low = Uint32Array.from(table, (entry) => Number(entry & 0xffff_ffffn));
  const high = Uint32Array.from(table, (entry) => Number(entry >> 32n));
  const lengths: number[] = [];
  for (let start = 0; start < range.length;) {
    const end = Math.min(start + MiB, range.length);
    let [lo, hi] = [0, 0];
    let i = Math.min(start + 64 * KiB, end);
    for (; i < end; i += 1) {
      const sum = ((lo << 1) >>> 0) + low[range[i]!]!;
      hi = ((((hi << 1) | (lo >>> 31)) >>> 0) + high[range[i]!]! + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
      lo = sum >>> 0;
      if (hi >>> (i + 1 - start < 256 * KiB ? 12 : 16) === 0) break;
    }
    const length = Math.min(i + 1, end) - start;
    lengths.push(length);
    start += length;
  }
  return lengths;
}

function cutAsSpecified(chunkingKey: Uint8Array, file: Uint8Array): number[] {
  const table = new BigUint64Array(deriveGearTable(chunkingKey).slice().buffer);
  const lengths: number[] = [];
  for (let at = 0; at < file.length; at += restartBytes) {
    lengths.push(...cutInHalves(table, file.subarray(at, at + restartBytes)));
  }
  return lengths;
}

/** Lengths of the pieces when reads give `readBytes` by turns; checks that the pieces are the file. */
function cutInReads(chunker: Chunker, file: Uint8Array, readBytes: readonly number[]): number[] {
  const lengths: number[] = [];
  let at = 0;
  let handedOut = 0;
  chunker.begin();
  for (let turn = 0, isEnd = false; !isEnd; turn += 1) {
    const space = chunker.space();
    const bytes = Math.min(readBytes[turn % readBytes.length]!, space.length, file.length - at);
    space.set(file.subarray(at, at + bytes));
    at += bytes;
    isEnd = at === file.length;
    for (const [offset, length] of chunker.cuts(bytes, isEnd)) {
      const piece = file.subarray(handedOut, handedOut + length);
      assert.equal(Buffer.compare(chunker.bytes(offset, length), piece), 0);
      lengths.push(length);
      handedOut += length;
    }
  }
  assert.equal(handedOut, file.length);
  return lengths;
}

/** Stretches of random bytes, of few symbols, of one byte, and of a short pattern: what real files are made of. */
function mixedBytes(seed: number, lengthBytes: number): Uint8Array {
  const out = new Uint8Array(lengthBytes);
  let state = (seed | 1) >>> 0;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
  for (let at = 0; at < lengthBytes;) {
    const end = Math.min(lengthBytes, at + 1 + (next() % 400_000));
    const kind = next() % 5;
    const [mask, period] = [
      [255, 0],
      [255, 0],
      [3, 0],
      [255, 1],
      [255, 2 + (next() % 300)],
    ][kind]!;
    for (let i = at; i < end; i += 1) out[i] = period! > 0 && i >= at + period! ? out[i - period!]! : next() & mask!;
    at = end;
  }
  return out;
}

/** Bytes anybody can make again: SHAKE-128 of a text. */
function shake(text: string, lengthBytes: number): Uint8Array {
  return createHash('shake128', { outputLength: lengthBytes }).update(text).digest();
}

test('cuts lie where the format document puts them, however the reads are split', () => {
  const chunker = createGearChunker(key);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.oneof(fc.integer({ min: 0, max: 300 * KiB }), fc.integer({ min: 0, max: 4 * MiB })),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 * MiB })), {
        minLength: 1,
        maxLength: 8,
      }),
      (seed, lengthBytes, reads) => {
        const file = mixedBytes(seed, lengthBytes);
        // A file of only tiny reads would take minutes.
        const readBytes = [...reads, 64 * KiB];
        assert.deepEqual(cutInReads(chunker, file, readBytes), cutAsSpecified(key, file));
      },
    ),
    { numRuns: 40 },
  );
});

test('both forms of the reference agree', () => {
  const table = new BigUint64Array(deriveGearTable(key).slice().buffer);
  for (const file of [mixedBytes(7, 3 * MiB), shake('reference', MiB), new Uint8Array(MiB + 3)]) {
    assert.deepEqual(cutInHalves(table, file), cutPlainly(table, file));
  }
});

// The expected values were computed by another program, in another language, from the format document.
test('known answers: the table and the cuts of a fixed key and fixed bytes', () => {
  const table = deriveGearTable(key);
  assert.equal(table.subarray(0, 16).toHex(), 'f602b740c7b383f10df83033e60582ec');
  assert.equal(
    createHash('sha256').update(table).digest('hex'),
    '893c236f018db8c53d25741e7cbbd11a5f0f13f19940b457509b931edd1af4b9',
  );
  const file = shake('holdfast chunker 1', 4 * MiB);
  assert.deepEqual(
    cutInReads(createGearChunker(key), file, [MiB]),
    [
      303303, 434031, 286761, 316622, 127721, 141189, 273654, 113030, 146221, 171895, 356681, 380384, 276551, 393787,
      362674, 109800,
    ],
  );
  const otherKey = new Uint8Array(32).fill(0xff);
  assert.deepEqual(
    cutInReads(createGearChunker(otherKey), file, [MiB]),
    [
      326449, 333354, 311804, 294390, 370348, 287468, 335100, 268930, 101301, 179017, 72143, 274498, 230979, 286483,
      328738, 193302,
    ],
  );
});

test('a file that is longer than 64 MiB is cut like its ranges', () => {
  const file = new Uint8Array(restartBytes + 700 * KiB);
  new Uint32Array(file.buffer).set(new Uint32Array(shake('ranges', restartBytes).slice().buffer));
  file.set(shake('the rest', 700 * KiB), restartBytes);
  const chunker = createGearChunker(key);
  const whole = cutInReads(chunker, file, [MiB + 17, 2 * MiB]);
  const ranges = [file.subarray(0, restartBytes), file.subarray(restartBytes)];
  assert.deepEqual(
    whole,
    ranges.flatMap((range) => cutInReads(chunker, range, [900 * KiB])),
  );
  assert.deepEqual(whole, cutAsSpecified(key, file));
  let at = 0;
  assert.ok(whole.some((length) => (at += length) === restartBytes));
});

test('pieces of random bytes are 64 KiB to 1 MiB long and about 292 KiB on average', () => {
  const lengths = cutInReads(createGearChunker(key), shake('average', 48 * MiB), [MiB]);
  const inner = lengths.slice(0, -1);
  const mean = inner.reduce((sum, length) => sum + length, 0) / inner.length;
  assert.ok(inner.every((length) => length > 64 * KiB && length <= MiB));
  assert.ok(mean > 262 * KiB && mean < 322 * KiB, `mean ${mean / KiB} KiB`);
});

test('a byte put in moves a few cuts only', () => {
  const before = shake('insertion', 16 * MiB);
  const chunker = createGearChunker(key);
  const endsOf = (file: Uint8Array) => {
    let end = 0;
    return cutInReads(chunker, file, [MiB]).map((length) => (end += length));
  };
  const kept = endsOf(before);
  // In the middle of a piece, and right at cuts, where it must move at least one.
  for (const at of [100_000, kept[3]! - 5, kept[10]! - 1, kept[20]! - 40]) {
    const after = new Uint8Array(before.length + 1);
    after.set(before.subarray(0, at));
    after.set(before.subarray(at), at + 1);
    const ends = new Set(endsOf(after).map((end) => (end > at ? end - 1 : end)));
    const lost = kept.filter((end) => !ends.has(end)).length;
    assert.ok(lost <= 8 && (lost > 0 || at === 100_000), `${lost} of ${kept.length} cuts moved`);
  }
});

test('an abandoned file leaves nothing behind', () => {
  const chunker = createGearChunker(key);
  const file = mixedBytes(99, 3 * MiB);
  chunker.begin();
  chunker.space().set(shake('abandoned', MiB));
  for (const _ of chunker.cuts(MiB, false)) break;
  assert.throws(() => chunker.space(), /walked to their end/);
  assert.deepEqual(cutInReads(chunker, file, [MiB]), cutAsSpecified(key, file));
});

test('an empty file has no pieces', () => {
  assert.deepEqual(cutInReads(createGearChunker(key), new Uint8Array(0), [1]), []);
});

test('the module that is checked in is what the source compiles to', async () => {
  const checkedIn = readFileSync(new URL('gear.wasm', import.meta.url));
  const hashFile = readFileSync(new URL('gear.wasm.sha256', import.meta.url), 'utf8');
  assert.equal(hashFile, gearHashFile(checkedIn), 'gear.wasm is stale: npm run build:wasm');
  assert.equal(Buffer.compare(await compileGear(), checkedIn), 0, 'gear.wasm was not built by npm run build:wasm');
});
