import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';

import { CodedError } from '@holdfast/base';
import fc from 'fast-check';

import { readZstdFrame } from './zstd-frame.ts';
import { compressIfSmaller, compressZstd, decompressZstd, zstdCompressorName } from './zstd.node.ts';

const isBadFrame = (error: unknown) => error instanceof CodedError && error.code === 'zstd.bad_frame';
const text = (lengthBytes: number) =>
  Uint8Array.from({ length: lengthBytes }, (_, i) => 97 + (((i * i) >> 3) % 19) + ((i >> 8) % 3));
const random = (lengthBytes: number) => new Uint8Array(createHash('shake128', { outputLength: lengthBytes }).digest());
const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const withByte = (bytes: Uint8Array, at: number, value: number) => bytes.map((byte, i) => (i === at ? value : byte));

test('what is compressed comes back, at every level', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 0, max: 300_000 }).map(text)),
      fc.integer({ min: 1, max: 9 }),
      (raw, level) => assert.deepEqual(decompressZstd(compressZstd(raw, level), raw.length), new Uint8Array(raw)),
    ),
    { numRuns: 60 },
  );
});

test('a frame of 4 MiB says its size and asks for a window of 4 MiB at most, at every level', () => {
  const raw = new Uint8Array(4 * 1024 * 1024).map((_, i) => (i >> 10) ^ (i & 15));
  for (const level of [1, 3, 9, 12, 19]) {
    const payload = compressZstd(raw, level);
    const { contentBytes, windowBytes } = readZstdFrame(payload);
    assert.equal(contentBytes, raw.length);
    assert.ok(windowBytes <= 4 * 1024 * 1024);
    assert.equal(Buffer.compare(decompressZstd(payload, raw.length), raw), 0);
  }
});

test('bytes are kept compressed only if that saves 3 %', () => {
  assert.equal(compressIfSmaller(random(100_000), 3), undefined);
  assert.equal(compressIfSmaller(new Uint8Array(0), 3), undefined);
  // 2 % of zeros save about 2 %, 5 % save about 5 %.
  assert.equal(compressIfSmaller(random(100_000).fill(0, 0, 2000), 3), undefined);
  assert.ok(compressIfSmaller(random(100_000).fill(0, 0, 5000), 3)!.length < 97_000);
  assert.ok(compressIfSmaller(text(100_000), 3)!.length < 97_000);
});

test('the compressor is named by its version and level, and by its tables where they are not those of the level', () => {
  assert.match(zstdCompressorName(1, 540_000), /^zstd \d+\.\d+\.\d+ 1$/);
  assert.match(zstdCompressorName(3, 16_384), /^zstd \d+\.\d+\.\d+ 3$/);
  assert.match(zstdCompressorName(3, 540_000), /^zstd \d+\.\d+\.\d+ 3 16 15$/);
});

test('smaller tables make a bundle of text at most 2 % longer', () => {
  const raw = text(540_000);
  const own = zstdCompressSync(raw, { pledgedSrcSize: raw.length, params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  assert.ok(compressZstd(raw, 3).length <= own.length * 1.02);
});

test('a payload that is not one frame of the expected size is refused, and as many genuine frames are opened', () => {
  const raw = text(5000);
  const frame = compressZstd(raw, 3);
  const withoutSize = new Uint8Array(zstdCompressSync(raw, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }));
  const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9);
  const large = new Uint8Array(8 * 1024 * 1024);
  const largeFrame = new Uint8Array(zstdCompressSync(large, { pledgedSrcSize: large.length }));
  // Not a single segment: a window byte of 5 MiB follows the descriptor, then the size in eight bytes.
  const wideWindow = join(
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xc0, ((22 - 10) << 3) | 2, 5, 0, 0, 0, 0, 0, 0, 0),
    Uint8Array.of(0x29, 0, 0),
    Uint8Array.of(1, 2, 3, 4, 5),
  );
  const refused: [string, Uint8Array, number][] = [
    ['empty', new Uint8Array(0), 0],
    ['only a magic', frame.slice(0, 4), 5000],
    ['cut in its header', frame.slice(0, 6), 5000],
    ['cut off', frame.slice(0, -1), 5000],
    ['one byte more', join(frame, Uint8Array.of(0)), 5000],
    ['followed by another frame', join(frame, frame), 10_000],
    ['followed by a skippable frame', join(frame, skippable), 5000],
    ['behind a skippable frame', join(skippable, frame), 5000],
    ['another magic', withByte(frame, 0, 0x27), 5000],
    ['of another size: less', frame, 4999],
    ['of another size: more', frame, 5001],
    ['without its size', withoutSize, 5000],
    ['with a dictionary', withByte(frame, 4, frame[4]! | 1), 5000],
    ['with a reserved bit', withByte(frame, 4, frame[4]! | 8), 5000],
    ['lying about its size', withByte(frame, 5, frame[5]! + 1), 5001],
    ['larger than a reader bears', largeFrame, large.length],
    ['a window that is larger than a reader bears', wideWindow, 5],
    ['a reserved block', withByte(wideWindow, 14, 0x2f), 5],
    ['bytes that are no compressed block', withByte(frame, 12, frame[12]! ^ 0xff), 5000],
  ];
  for (const [name, payload, rawBytes] of refused) {
    assert.throws(() => decompressZstd(payload, rawBytes), isBadFrame, name);
  }

  const genuine: [string, Uint8Array, Uint8Array][] = [
    ['no bytes', compressZstd(new Uint8Array(0), 3), new Uint8Array(0)],
    ['a window in its header', withByte(wideWindow, 5, (22 - 10) << 3), Uint8Array.of(1, 2, 3, 4, 5)],
    ['with a checksum', compressWith({ [constants.ZSTD_c_checksumFlag]: 1 }, raw), raw],
    ['a fast level', compressWith({ [constants.ZSTD_c_compressionLevel]: -5 }, raw), raw],
    ['a slow level', compressWith({ [constants.ZSTD_c_compressionLevel]: 19 }, raw), raw],
    ['a window smaller than the bytes', compressWith({ [constants.ZSTD_c_windowLog]: 10 }, raw), raw],
    ['a run of one byte', compressZstd(new Uint8Array(200_000).fill(5), 3), new Uint8Array(200_000).fill(5)],
    ['stored bytes', compressZstd(random(200_000), 3), random(200_000)],
    ...[1, 63, 255, 256, 257, 65_535, 65_536, 65_791, 65_792, 131_073, 1_048_576].map(
      (length): [string, Uint8Array, Uint8Array] => [`${length} bytes`, compressZstd(text(length), 3), text(length)],
    ),
  ];
  assert.equal(genuine.length, refused.length);
  for (const [name, payload, expected] of genuine) {
    assert.equal(Buffer.compare(decompressZstd(payload, expected.length), expected), 0, name);
  }
});

test('any damage to a frame is refused or changes the bytes, and never asks for more than their length', () => {
  const raw = text(20_000);
  const frame = compressZstd(raw, 3);
  fc.assert(
    fc.property(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const damaged = frame.slice();
      damaged[at]! ^= mask;
      try {
        assert.equal(decompressZstd(damaged, raw.length).length, raw.length);
      } catch (error) {
        assert.ok(isBadFrame(error), String(error));
      }
    }),
    { numRuns: 300 },
  );
});

function compressWith(params: Readonly<Record<number, number>>, raw: Uint8Array): Uint8Array {
  return new Uint8Array(zstdCompressSync(raw, { pledgedSrcSize: raw.length, params }));
}
