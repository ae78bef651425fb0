import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { RecoverError } from '../errors.ts';
import { plaintext, u32, xaesSeal } from '../testing/write-structures.ts';
import { openSealed, sha256, unwrapPlaintext } from './sealing.ts';

const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
const plain = Buffer.from('XAES-256-GCM');
// Published with the specification at https://c2sp.org/XAES-256-GCM.
const vectors = [
  {
    key: Buffer.alloc(32, 1),
    associated: Buffer.alloc(0),
    sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271',
  },
  {
    key: Buffer.alloc(32, 3),
    associated: Buffer.from('c2sp.org/XAES-256-GCM'),
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
];

test('the published vectors of XAES-256-GCM open, and do not once a bit is changed', () => {
  for (const { key, associated, sealed } of vectors) {
    const bytes = Buffer.from(sealed, 'hex');
    assert.deepEqual(openSealed({ key, nonce, associated }, bytes), plain);
    assert.deepEqual(xaesSeal(key, nonce, { plain, associated }), bytes);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      assert.equal(openSealed({ key, nonce, associated }, changed), undefined);
    }
  }
});

test('a plaintext gives its raw bytes back, compressed or not', () => {
  for (const raw of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(70_000, 'abc'), Buffer.alloc(4_194_304)]) {
    for (const compress of [true, false]) {
      assert.ok(unwrapPlaintext(plaintext(raw, { floor: 512, compress })).bytes.equals(raw));
    }
  }
});

test('a plaintext that lies about its lengths or would swell is refused', () => {
  const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
  const head = (compression: number, raw: number, payload: number, content: Buffer) =>
    Buffer.concat([Buffer.of(compression), u32(raw), u32(payload), sha256(content)]);
  const small = Buffer.from('hello');
  const cases = [
    Buffer.concat([head(1, 4_194_304, bomb.length, small), bomb]), // swells past what it says
    Buffer.concat([head(1, 4_194_305, bomb.length, small), bomb]), // says more than may be
    Buffer.concat([head(0, 0xffffffff, 0xffffffff, small), small]),
    Buffer.concat([head(0, 5, 6, small), small, Buffer.alloc(5)]), // payload longer than raw
    Buffer.concat([head(0, 5, 4, small), small]),
    Buffer.concat([head(2, 5, 5, small), small]), // no such compression
    Buffer.concat([head(0, 5, 5, Buffer.from('other')), small]), // another hash
    Buffer.alloc(40),
  ];
  for (const bytes of cases) assert.throws(() => unwrapPlaintext(bytes), RecoverError);
  assert.equal(unwrapPlaintext(Buffer.concat([head(0, 5, 5, small), small])).bytes.toString(), 'hello');
});
