import assert from 'node:assert/strict';
import test from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { systemRandom } from '@holdfast/base';
import { encodeRecord, isSealedKind, putCrc, RecordKind, recordCrcOf, splitRecord } from './record.ts';
import { contentOf, keys, kinds, signer } from './seal.fixture.ts';
import { isAltered, isAuthentic, type SealContent, sealRecord } from './seal.node.ts';

test('a record that was altered is told from those that were not, without opening what it holds', () => {
  for (const kind of kinds) {
    const record = sealRecord(contentOf(kind, Buffer.from('state'), Uint8Array.of(1)), keys, systemRandom);
    assert.equal(isAltered(record, keys), false, kind);
    assert.equal(isAltered(record, { ...keys, ring: new Map() }), false, `${kind}: no key says that it was`);
    const cut = record.length - 1;
    for (const bytes of [
      record.subarray(0, cut),
      record.subarray(0, 40),
      new Uint8Array(600),
      Buffer.concat([record, record]),
    ]) {
      assert.equal(isAltered(bytes, keys), true, kind);
    }
    for (let bit = 0; bit < record.length * 8; bit += 13) {
      const flipped = record.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(isAltered(flipped, keys), true, `${kind}, bit ${bit}`);
    }
    const { headerBytes, sealed } = splitRecord(record);
    if (sealed.length === 0) continue;
    const forged = record.slice();
    forged[headerBytes.length + 4 + 1]! ^= 1;
    putCrc(forged, recordCrcOf(forged, 0, forged.length, zlibCrc32));
    assert.equal(isAltered(forged, keys), true, `${kind}, with a new checksum`);
  }
});

test('only what a listed writer sealed or signed with keys that are at hand is authentic, whatever checksum it carries', () => {
  const byWriters = (writerNumber: number) => (writerNumber === 1 ? signer.publicKey : undefined);
  const withCrc = (record: Uint8Array) => {
    const copy = record.slice();
    putCrc(copy, recordCrcOf(copy, 0, copy.length, zlibCrc32));
    return copy;
  };
  const flippedAt = (record: Uint8Array, bit: number) => {
    const flipped = record.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    return flipped;
  };
  const make = (content: SealContent) => sealRecord({ ...content, ordinal: 2 ** 32 + 5 }, keys, systemRandom);
  for (const kind of kinds) {
    for (const epoch of isSealedKind(RecordKind[kind]) ? [0, 3] : [0]) {
      const record = make({ ...contentOf(kind, Buffer.from('state'), Uint8Array.of(1)), epoch });
      assert.equal(isAuthentic(record, keys, byWriters), true, `${kind} of epoch ${epoch}`);
      assert.equal(isAuthentic(withCrc(record), keys, byWriters), true, kind);
      assert.equal(
        isAuthentic(record, keys, () => undefined),
        false,
        `${kind} of no writer`,
      );
      const bits = Array.from({ length: Math.ceil((record.length * 8) / 23) }, (_, at) => at * 23);
      const bad = [record.subarray(0, -1), record.subarray(0, 40), Buffer.concat([record, Uint8Array.of(0)])];
      bad.push(...bits.map((bit) => flippedAt(record, bit)));
      // With the checksum made anew, which makes a flip in the checksum good again.
      const others = bits.filter((bit) => bit >> 3 < 48 || bit >> 3 >= 52);
      bad.push(...others.map((bit) => withCrc(flippedAt(record, bit))));
      for (const [place, bytes] of bad.entries()) {
        assert.equal(isAuthentic(bytes, keys, byWriters), false, `${kind}, ${place} of what nobody made`);
      }
    }
  }
});

test('a record under an epoch or of a kind that nobody has is not authentic, though it is a record with a checksum', () => {
  const strange = { epoch: 9, ordinal: 2 ** 32 + 5, sealed: systemRandom(4096), nonce: systemRandom(24) };
  const anybody = () => signer.publicKey;
  for (const kind of ['block', 'bundle', 'list', 'tree'] as const) {
    const made = encodeRecord({ ...strange, kind: RecordKind[kind] });
    assert.deepEqual([isAltered(made, keys), isAuthentic(made, keys, anybody)], [false, false], kind);
  }
  for (const unknown of [{ kind: 99 }, { kind: RecordKind.tree, version: 2, epoch: 3 }]) {
    const made = encodeRecord({ ...strange, ...unknown });
    assert.deepEqual([isAltered(made, keys), isAuthentic(made, keys, anybody)], [false, false], `kind ${unknown.kind}`);
  }
  const withoutKeys = { ...keys, ring: new Map() };
  const block = sealRecord(contentOf('block', Buffer.from('state')), keys, systemRandom);
  assert.deepEqual([isAuthentic(block, withoutKeys, anybody), isAuthentic(block, keys, anybody)], [false, true]);
});
