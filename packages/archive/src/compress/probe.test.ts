import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { brotliCompressSync, constants, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';

import { compressedFormat } from './magic.ts';
import { probe } from './probe.ts';
import { compressIfSmaller } from './zstd.node.ts';

const random = (text: string, lengthBytes: number) =>
  new Uint8Array(createHash('shake128', { outputLength: lengthBytes }).update(text).digest());
const words = (lengthBytes: number) => {
  const some = ['backup', 'restore', 'archive', 'ordinal', 'of', 'the', 'a', 'record', 'is', '1024', '\n'];
  const order = random('words', lengthBytes);
  return Buffer.from(Array.from(order, (byte) => some[byte % some.length]!).join(' ')).subarray(0, lengthBytes);
};

test('random bytes are not compressed, whatever their length', () => {
  const verdicts = [];
  for (let i = 0; i < 200; i += 1) verdicts.push(probe(random(`piece ${i}`, 4096 + i * 1311), true));
  // Four bytes come twice by chance in one of sixty; then the compressor is called in vain.
  const missed = verdicts.filter((verdict) => verdict !== 'looks_random').length;
  assert.ok(missed <= 12, `${missed} of 200 were tried`);
});

test('compressed streams without a known signature are not compressed', () => {
  const raw = words(3_000_000);
  const fast = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
  for (const stream of [deflateRawSync(raw), brotliCompressSync(raw, fast), gzipSync(raw)]) {
    const piece = stream.subarray(20_000, 20_000 + 120_000);
    assert.equal(compressIfSmaller(piece, 3), undefined);
    assert.notEqual(probe(piece, false), 'compressible');
  }
});

test('whatever zstd would shrink well is tried', () => {
  const pieces: Uint8Array[] = [
    words(262_144),
    words(700),
    new Uint8Array(65_536),
    new Uint8Array(65_536).fill(1),
    Buffer.from(random('base64', 100_000).toBase64()),
    Buffer.from(random('hex', 100_000).toHex()),
    random('every other', 65_536).map((byte, i) => (i % 2 === 0 ? byte : 0)),
    random('six bits', 65_536).map((byte) => byte & 63),
    new Uint8Array(new Float64Array(8192).map((_, i) => Math.sqrt(i)).buffer),
  ];
  for (const [index, piece] of pieces.entries()) {
    assert.ok(compressIfSmaller(piece, 3), `piece ${index} can be compressed`);
    assert.equal(probe(piece, true), 'compressible', `piece ${index}`);
  }
});

test('a piece that is random in its middle only is tried', () => {
  const piece = random('middle', 262_144);
  piece.set(words(8192), 0);
  assert.equal(probe(piece, true), 'compressible');
  piece.set(random('start', 8192), 0);
  piece.set(words(8192), 262_144 - 8192);
  assert.equal(probe(piece, true), 'compressible');
});

test('very short pieces are always tried', () => {
  for (const length of [0, 1, 3, 4, 100, 256]) assert.equal(probe(random('short', length), true), 'compressible');
});

test('compressed formats are known by their first bytes, at the start of a file only', () => {
  const bytes = (...parts: readonly (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))));
  const zip = (method: number) => bytes('PK', 3, 4, 20, 0, 0, 0, method, 0);
  const known: [string, Uint8Array][] = [
    ['gzip', gzipSync('x')],
    ['zstd', zstdCompressSync('x')],
    ['bzip2', bytes('BZh9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59)],
    ['xz', bytes(0xfd, '7zXZ', 0)],
    ['7z', bytes('7z', 0xbc, 0xaf, 0x27, 0x1c)],
    ['lz4', bytes(4, 0x22, 'M', 0x18)],
    ['lzip', bytes('LZIP', 1)],
    ['rar', bytes('Rar!', 0x1a, 7, 1, 0)],
    ['jpeg', bytes(0xff, 0xd8, 0xff, 0xe0, 0, 0x10, 'JFIF')],
    ['png', bytes(0x89, 'PNG\r\n', 0x1a, '\n')],
    ['gif', bytes('GIF89a')],
    ['webp', bytes('RIFF', 1, 2, 3, 4, 'WEBPVP8 ')],
    ['mp4', bytes(0, 0, 0, 0x20, 'ftypisom')],
    ['matroska', bytes(0x1a, 0x45, 0xdf, 0xa3)],
    ['ogg', bytes('OggS', 0)],
    ['flac', bytes('fLaC', 0)],
    ['mp3', bytes('ID3', 4)],
    ['woff', bytes('wOFF', 0)],
    ['woff2', bytes('wOF2', 0)],
    ['zip', zip(8)],
  ];
  const unknown: Uint8Array[] = [
    new Uint8Array(0),
    bytes(0x1f),
    bytes(0x1f, 0x8b),
    bytes(0x1f, 0x8b, 7),
    bytes('BZh9 is how a bzip2 file begins'),
    bytes('PK'),
    zip(0),
    bytes('PK', 5, 6),
    bytes(0xff, 0xd8),
    bytes('RIFF', 1, 2, 3, 4, 'WAVEfmt '),
    bytes('%PDF-1.7'),
    bytes('SQLite format 3', 0),
    bytes(0x7f, 'ELF', 2, 1, 1),
    bytes(0x28, 0xb5, 0x2f),
    bytes('II*', 0),
    bytes('BM', 1, 2, 3),
    bytes('GIF'),
    bytes('7z archives begin otherwise'),
    bytes('Rar!', 7),
    bytes('{"ftyp": 1}'),
  ];
  assert.equal(unknown.length, known.length);
  for (const [format, head] of known) {
    assert.equal(compressedFormat(head), format);
    const piece = Buffer.concat([head, words(20_000)]);
    assert.equal(probe(piece, true), 'compressed_format', format);
    assert.equal(probe(piece, false), 'compressible', format);
  }
  for (const head of unknown) assert.equal(compressedFormat(head), undefined, Buffer.from(head).toString());
});
