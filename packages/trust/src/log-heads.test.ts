import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  canonicalJson,
  compareHeads,
  formatHeadFile,
  formatVerifierKey,
  leafHash,
  noteSigner,
  openHeadFile,
  rootAt,
  signCheckpoint,
  type Hash,
  type HeadFile,
  type NoteSigner,
} from './index.ts';

const origin = 'holdfast/installation/tenant/keys';
const signer = noteSigner('holdfast/installation/tenant/audit', generateKeyPairSync('ed25519').privateKey);
const stranger = noteSigner(signer.key.name, generateKeyPairSync('ed25519').privateKey);

const leavesOf = (count: number, what = 'leaf') =>
  Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`${what} ${index}`)));

function fileOf(leaves: readonly Hash[], by: NoteSigner = signer, about = origin): HeadFile {
  const note = signCheckpoint({ origin: about, treeSize: leaves.length, root: rootAt(leaves, leaves.length) }, [by]);
  return { origin: about, verifier: formatVerifierKey(by.key), note, verifiedAt: '2026-01-02T03:04:05.678Z', leaves };
}

const open = (file: HeadFile) => openHeadFile(formatHeadFile(file));

test('heads of one log are of one log, whatever their sizes and whichever comes first', () => {
  fc.assert(
    fc.property(fc.nat(70), fc.nat(70), (one, other) => {
      const [older, newer] = [open(fileOf(leavesOf(one))), open(fileOf(leavesOf(other)))];
      assert.equal(older.head.treeSize, one);
      assert.deepEqual(compareHeads(older, newer), { verdict: 'one_log' });
    }),
    { numRuns: 40 },
  );
});

test('a log that forked is found at the leaf where it parts, by a changed, exchanged, removed or added leaf', () => {
  const sizes = fc.integer({ min: 2, max: 60 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 2)));
  fc.assert(
    fc.property(sizes, fc.nat(20), ([size, at], more) => {
      const seen = leavesOf(size);
      const grown = [...seen, ...leavesOf(more, 'later')];
      assert.deepEqual(compareHeads(open(fileOf(seen)), open(fileOf(grown))), { verdict: 'one_log' });
      const forks = [
        grown.with(at, leafHash(Buffer.from('altered'))),
        grown.with(at, grown[at + 1]!).with(at + 1, grown[at]!),
        grown.toSpliced(at, 1),
        grown.toSpliced(at, 0, leafHash(Buffer.from('put between'))),
      ];
      for (const fork of forks) {
        const verdict = { verdict: 'forked', atLeaf: at };
        assert.deepEqual(compareHeads(open(fileOf(seen)), open(fileOf(fork))), verdict);
        assert.deepEqual(compareHeads(open(fileOf(fork)), open(fileOf(seen))), verdict);
      }
    }),
    { numRuns: 40 },
  );
});

test('heads of different logs or keys are not compared', () => {
  const seen = open(fileOf(leavesOf(5)));
  for (const other of [fileOf(leavesOf(5), stranger), fileOf(leavesOf(5), signer, 'holdfast/other/tenant/keys')])
    assert.deepEqual(compareHeads(seen, open(other)), { verdict: 'other_log' });
});

test('a file whose head is not signed, or not that of its leaves, is refused; the genuine one is opened', () => {
  const good = fileOf(leavesOf(9));
  assert.equal(open(good).head.treeSize, 9);
  const unsigned: Readonly<Record<string, HeadFile>> = {
    'signed by another key of the name': { ...good, note: fileOf(leavesOf(9), stranger).note },
    'of another log': { ...good, note: fileOf(leavesOf(9), signer, 'holdfast/x/y/audit').note },
    'said to be of another log': { ...good, origin: 'holdfast/x/y/keys' },
    'with another number': { ...good, note: good.note.replace('\n9\n', '\n8\n') },
    'without a key': { ...good, verifier: '' },
  };
  for (const [what, file] of Object.entries(unsigned))
    assert.throws(() => open(file), { code: 'head_file.unsigned' }, what);
  for (const leaves of [leavesOf(8), leavesOf(10), leavesOf(9).toReversed(), leavesOf(9, 'other'), []])
    assert.throws(() => open({ ...good, leaves }), { code: 'head_file.unproven' });
});

test('a head file names an instant that a calendar has', () => {
  const good = fileOf(leavesOf(3));
  for (const verifiedAt of ['2026-99-99T99:99:99.999Z', '2026-02-30T00:00:00.000Z', '2026-01-02T24:00:00.000Z'])
    assert.throws(() => openHeadFile(formatHeadFile({ ...good, verifiedAt })), { code: 'head_file.malformed' });
  for (const verifiedAt of ['2026-12-31T23:59:59.999Z', '2028-02-29T00:00:00.000Z'])
    assert.equal(openHeadFile(formatHeadFile({ ...good, verifiedAt })).verifiedAt, verifiedAt);
});

test('text that is no head file is refused and never a crash', () => {
  const isMalformed = (text: string) => assert.throws(() => openHeadFile(text), { code: 'head_file.malformed' });
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), isMalformed));
  const good = { headFile: 1, origin, verifier: 'v', note: 'n', verifiedAt: '2026-01-02T03:04:05.678Z', leaves: '' };
  assert.throws(() => openHeadFile(canonicalJson(good)), { code: 'head_file.unsigned' });
  const wrong = [
    { headFile: 2 },
    { leaves: 'AAAA' },
    { leaves: '!' },
    { leaves: 5 },
    { note: null },
    { more: 1 },
    { verifiedAt: 'today' },
  ];
  for (const change of wrong) isMalformed(canonicalJson({ ...good, ...change }));
});
