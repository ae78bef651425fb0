import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { CodedError, systemRandom } from '@holdfast/base';
import fc from 'fast-check';

import { decompressZstd } from '../compress/zstd.node.ts';
import { importXaesKey } from '../crypto/xaes-web.ts';
import { createSigningKey, isSignedBy } from '../crypto/ed25519.node.ts';
import { XaesKey } from '../crypto/xaes.node.ts';
import { archiveErrors } from '../errors.ts';
import { crc32 } from './crc32.ts';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { deriveEpochKeys } from './keys.node.ts';
import { keyUseOf } from './keys.ts';
import { isRecordSigned, openRecord } from './open.ts';
import {
  associatedData,
  encodeRecord,
  isSealedKind,
  parseRecordHeader,
  RecordKind,
  recordLengthOf,
  signedMessage,
  splitRecord,
  verifyRecordCrc,
} from './record.ts';
import { archiveId, contentOf, keys, kinds, ring, signer } from './seal.fixture.ts';
import { isRecordSignedBy, openRecordSync, planSeal, type SealContent, sealInto, sealRecord } from './seal.node.ts';

const tools = { decompress: decompressZstd };

async function openByWeb(bytes: Uint8Array<ArrayBuffer>) {
  const openers = new Map<string, Awaited<ReturnType<typeof importXaesKey>>>();
  for (const [epoch, { data, metadata }] of ring) {
    openers.set(`data ${epoch}`, await importXaesKey(new Uint8Array(data)));
    openers.set(`metadata ${epoch}`, await importXaesKey(new Uint8Array(metadata)));
    openers.set(`ring ${epoch}`, await importXaesKey(new Uint8Array(keys.ringKey!)));
  }
  return openRecord(bytes, { archiveId, openerOf: (kind, epoch) => openers.get(`${keyUseOf(kind)} ${epoch}`) }, tools);
}

const rawBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 0, max: 70_000 }).map((length) => new Uint8Array(length)),
  fc
    .tuple(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 2000 }))
    .map(([part, times]) => Buffer.concat(Array<Uint8Array>(times).fill(part)).subarray(0, 60_000)),
);

test('what is sealed opens to the same bytes, in Node and through WebCrypto, for every kind that seals', async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...kinds),
    rawBytes,
    fc.uint8Array({ maxLength: 50 }),
    async (kind, raw, open) => {
      const record = sealRecord(contentOf(kind, raw, open), keys, systemRandom);
      const header = parseRecordHeader(record);
      assert.equal(recordLengthOf(header), record.length);
      assert.ok(verifyRecordCrc(record, 0, header));
      assert.deepEqual([header.kind, header.ordinal], [RecordKind[kind], 2 ** 32 + 5]);
      if (!isSealedKind(header.kind)) return;
      const opened = openRecordSync(record, keys);
      assert.equal(Buffer.compare(opened.raw, raw), 0);
      assert.equal(Buffer.compare(opened.open, open), 0);
      const byWeb = await openByWeb(record);
      assert.equal(Buffer.compare(byWeb.raw, raw), 0);
      assert.equal(Buffer.compare(byWeb.sha256, opened.sha256), 0);
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

test('a record lies as the document says, opened here by its parts alone', () => {
  const raw = Buffer.from('the raw bytes');
  const record = sealRecord(
    { ...contentOf('commit', raw, Uint8Array.of(1, 2, 3)), compression: 'none' },
    keys,
    systemRandom,
  );
  assert.equal(
    record.subarray(0, 24).toHex(),
    ['48465231', '01', '07', '0300', '050000000100', '4000', '03000000', '10020000'].join(''),
  );
  assert.equal(record.length, 52 + 3 + 512 + 16 + 64);
  const associated = Buffer.concat([archiveId, record.subarray(0, 48), record.subarray(52, 55)]);
  const sealed = record.subarray(55, 55 + 528);
  const plaintext = new XaesKey(ring.get(3)!.metadata).open(record.subarray(24, 48), sealed, associated);
  assert.equal(plaintext.subarray(0, 9).toHex(), '000d0000000d000000');
  assert.equal(plaintext.subarray(9, 41).toHex(), createHash('sha256').update(raw).digest('hex'));
  assert.equal(plaintext.subarray(41).toHex(), raw.toString('hex').padEnd(471 * 2, '0'));
  const message = Buffer.concat([
    Buffer.from('holdfast v1 record\0'),
    archiveId,
    record.subarray(0, 48),
    record.subarray(52, 583),
  ]);
  assert.ok(isSignedBy(signer.publicKey, message, record.subarray(583)));
  const crc = zlibCrc32(Buffer.concat([record.subarray(0, 48), record.subarray(52)]));
  assert.equal(new DataView(record.buffer).getUint32(48, true), crc);
});

test('every flipped bit of a record is seen, and by the key holder even when the CRC was made anew', () => {
  const record = sealRecord(contentOf('commit', Buffer.from('state'), Uint8Array.of(1)), keys, systemRandom);
  for (let bit = 0; bit < record.length * 8; bit += 7) {
    const flipped = record.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const seen = (() => {
      try {
        return !verifyRecordCrc(flipped, 0, parseRecordHeader(flipped));
      } catch (error) {
        return error instanceof CodedError && error.code === 'archive.corrupt';
      }
    })();
    assert.ok(seen, `bit ${bit}`);
    if (bit >> 3 < record.length - 64 && !(bit >> 3 >= 48 && bit >> 3 < 52))
      assert.throws(() => openRecordSync(flipped, keys), CodedError);
    if (!(bit >> 3 >= 48 && bit >> 3 < 52)) assert.equal(signedAnyway(flipped), false, `bit ${bit}`);
  }
  assert.ok(signedAnyway(record));
});

/** The signature alone, whatever the CRC says. */
function signedAnyway(record: Uint8Array): boolean {
  try {
    const parts = splitRecord(record);
    return isSignedBy(signer.publicKey, signedMessage(archiveId, parts), parts.signature);
  } catch {
    return false;
  }
}

test('a record is signed by its writer, for its archive and no other; a header for none', async () => {
  const live = sealRecord(contentOf('live', new Uint8Array(0), Uint8Array.of(4)), keys, systemRandom);
  const header = sealRecord(contentOf('header', new Uint8Array(0), Uint8Array.of(4)), keys, systemRandom);
  const other = createSigningKey(new Uint8Array(32).fill(6));
  assert.ok(isRecordSignedBy(live, archiveId, signer.publicKey));
  assert.ok(!isRecordSignedBy(live, new Uint8Array(16), signer.publicKey));
  assert.ok(!isRecordSignedBy(live, archiveId, other.publicKey));
  assert.ok(isRecordSignedBy(header, new Uint8Array(16), signer.publicKey));
  assert.ok(isRecordSignedBy(header, archiveId, signer.publicKey));
  const verify = (message: Uint8Array, signature: Uint8Array) =>
    Promise.resolve(isSignedBy(signer.publicKey, message, signature));
  assert.equal(await isRecordSigned(live, archiveId, verify), true);
  assert.equal(await isRecordSigned(live, new Uint8Array(16), verify), false);
});

test('another key, archive, epoch or a key that is not at hand opens nothing, each by its own error', async () => {
  const record = sealRecord(contentOf('block', Buffer.from('mine')), keys, systemRandom);
  const wrong = new Map([[3, deriveEpochKeys(archiveId, 3, new Uint8Array(32))]]);
  assert.throws(() => openRecordSync(record, { archiveId, ring: wrong }), { code: 'archive.not_authentic' });
  assert.throws(() => openRecordSync(record, { ...keys, archiveId: new Uint8Array(16) }), {
    code: 'archive.not_authentic',
  });
  assert.throws(() => openRecordSync(record, { archiveId, ring: new Map() }), { code: 'archive.key_missing' });
  assert.throws(
    () => openRecordSync(record, { archiveId, ring: new Map([[3, { metadata: ring.get(3)!.metadata }]]) }),
    { code: 'archive.key_missing' },
  );
  await assert.rejects(openRecord(record, { archiveId, openerOf: () => undefined }, tools), {
    code: 'archive.key_missing',
  });
  const live = sealRecord(contentOf('live', new Uint8Array(0)), keys, systemRandom);
  assert.throws(() => openRecordSync(live, keys), { code: 'archive.corrupt' });
  assert.equal(Buffer.from(openRecordSync(record, keys).raw).toString(), 'mine');
});

test('a record sealed in the middle of other bytes is the one sealed alone, and touches nothing beside it', () => {
  const content = { ...contentOf('bundle', Buffer.alloc(9000, 'text ')), ordinal: 44 };
  const random = (bytes: number) => new Uint8Array(bytes).fill(3);
  const alone = sealRecord(content, keys, random);
  const target = new Uint8Array(alone.length + 20).fill(0xaa);
  const plan = planSeal(content);
  assert.equal(plan.lengthBytes, alone.length);
  sealInto(target, 10, plan, { ...keys, random });
  assert.equal(Buffer.compare(target.subarray(10, -10), alone), 0);
  assert.ok([...target.subarray(0, 10), ...target.subarray(-10)].every((byte) => byte === 0xaa));
});

test('a random generator that repeats makes another nonce for other bytes, and the same only for the same', () => {
  const random = (bytes: number) => new Uint8Array(bytes);
  const nonce = (content: SealContent) => sealRecord(content, keys, random).subarray(24, 48).toHex();
  const content = contentOf('block', Buffer.from('one'));
  assert.equal(nonce(content), nonce({ ...content }));
  const others = [
    contentOf('block', Buffer.from('two')),
    contentOf('bundle', Buffer.from('one')),
    { ...content, ordinal: 7 },
    { ...content, epoch: 0 },
    { ...content, open: Uint8Array.of(1) },
    { ...content, floorBytes: 8192 },
  ];
  assert.equal(new Set([nonce(content), ...others.map(nonce)]).size, others.length + 1);
});

test('compression is kept where it saves 3 % and left out where it does not', () => {
  const compressionOf = (content: SealContent) => planSeal(content).plaintext[0]![0];
  const text = Buffer.alloc(50_000, 'compressible text. ');
  const noise = systemRandom(50_000);
  for (const compression of ['probe', 'zstd'] as const) {
    assert.equal(compressionOf({ ...contentOf('block', text), compression }), 1);
    assert.equal(compressionOf({ ...contentOf('block', noise), compression }), 0);
  }
  assert.equal(compressionOf({ ...contentOf('block', text), compression: 'none' }), 0);
  assert.equal(planSeal(contentOf('block', noise)).compressor, 'none');
});

test('the largest raw bytes fit a record, one byte more is refused', () => {
  const raw = systemRandom(65_536);
  const most = Buffer.concat(Array<Uint8Array>(64).fill(raw));
  const record = sealRecord({ ...contentOf('commit', most), compression: 'none' }, keys, systemRandom);
  assert.equal(splitRecord(record).header.sealedBytes, 4_325_392);
  assert.equal(openRecordSync(record, keys).raw.length, 4_194_304);
  const over = Buffer.concat([most, Buffer.from('x')]);
  assert.throws(() => planSeal(contentOf('commit', over)), { code: archiveErrors.too_large.code });
});

test('a plaintext that lies about its lengths, its compression or its hash is refused after the tag held', () => {
  const key = new XaesKey(ring.get(3)!.data);
  const sealed = (plaintext: Uint8Array) => {
    const nonce = systemRandom(24);
    const shape = { kind: RecordKind.block, epoch: 3, ordinal: 12, nonce, open: new Uint8Array(0) };
    const blank = encodeRecord({ ...shape, sealed: new Uint8Array(plaintext.length + 16) });
    const associated = associatedData(archiveId, blank.subarray(0, 48), shape.open);
    return encodeRecord({ ...shape, sealed: key.seal({ nonce, parts: [plaintext], associated }) });
  };
  const plaintext = (compression: number, raw: number, payload: number, fill = 0x20) => {
    const bytes = new Uint8Array(4096).fill(fill, 41);
    const view = new DataView(bytes.buffer);
    bytes[0] = compression;
    view.setUint32(1, raw, true);
    view.setUint32(5, payload, true);
    const hash = createHash('sha256')
      .update(bytes.subarray(41, 41 + Math.min(raw, 4055)))
      .digest();
    bytes.set(hash, 9);
    return bytes;
  };
  const lies = [
    plaintext(2, 10, 10),
    plaintext(0, 10, 9),
    plaintext(0, 9, 10),
    plaintext(0, 4056, 4056),
    plaintext(0, 2 ** 32 - 1, 2 ** 32 - 1),
    plaintext(1, 2 ** 23, 10),
    plaintext(1, 10, 10),
    plaintext(0, 10, 10).with(9, 1),
    plaintext(0, 10, 10).with(41, 1),
  ];
  for (const lie of lies) assert.throws(() => openRecordSync(sealed(lie), keys), { code: 'archive.corrupt' });
  for (const length of [0, 10, 4055]) {
    assert.equal(openRecordSync(sealed(plaintext(0, length, length)), keys).raw.length, length);
  }
});

test('a record of an unknown kind or version has a length to be passed over by, and is not opened', () => {
  for (const strange of [
    { kind: 99, version: 1 },
    { kind: 3, version: 2 },
  ]) {
    const record = encodeRecord({
      ...strange,
      epoch: 1,
      ordinal: 5,
      open: new Uint8Array(7),
      sealed: new Uint8Array(80),
      signature: new Uint8Array(64),
    });
    const header = parseRecordHeader(record);
    assert.equal(recordLengthOf(header), record.length);
    assert.ok(verifyRecordCrc(record, 0, header));
    assert.throws(() => openRecordSync(record, keys), { code: 'archive.corrupt' });
  }
});

test('headers that no record has are refused', () => {
  const good = sealRecord(contentOf('commit', Buffer.from('x')), keys, systemRandom);
  const changed = (at: number, ...bytes: number[]) => {
    const copy = good.slice();
    copy.set(bytes, at);
    return copy;
  };
  const bad = [
    changed(0, 0x49),
    changed(8, 255, 255, 255, 255, 255, 255),
    changed(14, 63),
    changed(14, 0, 0),
    changed(16, 0, 0, 0x42),
    changed(20, 0, 0, 0x43),
    changed(20, 56, 0, 0, 0),
    changed(5, 8),
    good.subarray(0, 51),
  ];
  for (const bytes of bad) assert.throws(() => parseRecordHeader(bytes), { code: 'archive.corrupt' });
  for (const bytes of [good, changed(4, 9), changed(5, 77)]) assert.ok(recordLengthOf(parseRecordHeader(bytes)) > 0);
});

test('the CRC-32 written in JavaScript is that of zlib, in one go and in parts', () => {
  assert.equal(crc32(Buffer.from('123456789'), 0), 0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (a, b) => {
      assert.equal(crc32(b, crc32(a, 0)), zlibCrc32(Buffer.concat([a, b])));
    }),
  );
});
