import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyLeaf, hex, uuid } from './testing/leaf-arbitraries.ts';
import {
  archiveHeadsRoot,
  canonicalJson,
  expectOutline,
  formatKeyLogLeaf,
  isAbout,
  isArchiveHeadProved,
  isOutline,
  isTextOf,
  outlineOf,
  parseKeyLogLeaf,
  proveArchiveHead,
  subject,
  subjectsOf,
  writeKeyLogLeaf,
  type ArchiveHead,
  type Json,
} from './index.ts';

const isMalformed = (work: () => unknown) => assert.throws(work, { code: 'key_log_leaf.malformed' });

test('every leaf is written and read back as it was, in one spelling', () => {
  fc.assert(
    fc.property(anyLeaf, (leaf) => {
      const text = formatKeyLogLeaf(leaf);
      assert.deepEqual(parseKeyLogLeaf(text), JSON.parse(JSON.stringify(leaf)));
      assert.equal(formatKeyLogLeaf(parseKeyLogLeaf(text)), text);
      isMalformed(() => parseKeyLogLeaf(` ${text}`));
      isMalformed(() => parseKeyLogLeaf(text.replace(':', ': ')));
    }),
  );
});

/** What of the values below is right for a member. */
const fittingByName: Readonly<Record<string, readonly string[]>> = {
  archiveId: ['null'],
  slots: ['[]'],
  approvals: ['[]'],
  mayApprove: ['true'],
  ownerSignature: ['null'],
  publicKey: [`"${'A'.repeat(43)}"`],
  byKey: [`"${'A'.repeat(43)}"`],
  newDeviceKey: [`"${'A'.repeat(43)}"`],
  writerKey: ['null', `"${'A'.repeat(43)}"`],
};

test('a member that is missing, unknown or of another shape is refused, whatever the kind', () => {
  const wrong: readonly Json[] = [null, true, -1, 1.5, '', 'x', [], {}, [null], { x: 1 }, 'A'.repeat(43)];
  fc.assert(
    fc.property(anyLeaf, fc.constantFrom(...wrong), (leaf, value) => {
      const members = leaf as unknown as { readonly [name: string]: Json };
      parseKeyLogLeaf(canonicalJson(members));
      isMalformed(() => parseKeyLogLeaf(canonicalJson({ ...members, more: value })));
      for (const name of Object.keys(members)) {
        const { [name]: _, ...without } = members;
        isMalformed(() => parseKeyLogLeaf(canonicalJson(without)));
        if (fittingByName[name]?.includes(canonicalJson(value))) continue;
        isMalformed(() => parseKeyLogLeaf(canonicalJson({ ...members, [name]: value })));
      }
    }),
  );
});

test('text that is no leaf is refused and never a crash', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      isMalformed(() => parseKeyLogLeaf(text));
    }),
  );
  for (const kind of ['toString', '__proto__', 'constructor', 'release'])
    isMalformed(() => parseKeyLogLeaf(canonicalJson({ kind })));
  const leaf = { kind: 'daily_heads', archives: 1, root: '0'.repeat(64), at: '2026-01-02T03:04:05.678Z' };
  const read = (day: string, at = leaf.at) =>
    parseKeyLogLeaf(canonicalJson({ ...leaf, day, at, nonce: 'A'.repeat(22) }));
  assert.ok(read('2028-02-29'));
  for (const day of ['2026-02-29', '2026-13-01', '2026-1-1']) isMalformed(() => read(day));
  for (const at of ['2026-01-02T03:04:05Z', '2026-01-02T25:04:05.678Z', '2026-01-02T03:04:05.678+00:00'])
    isMalformed(() => read('2026-01-02', at));
});

test('whoever knows whom a leaf is about finds it by what all see, and nobody else does', () => {
  fc.assert(
    fc.property(anyLeaf, uuid, (leaf, stranger) => {
      const { text, outline, subjects } = writeKeyLogLeaf(leaf);
      assert.ok(isOutline(outline) && isTextOf(outline, text));
      assert.deepEqual(subjects, subjectsOf(leaf));
      for (const one of subjects) assert.ok(isAbout(outline, ['archive:unknown', one]));
      for (const one of [subject.archive(stranger), subject.device(stranger), ''])
        assert.ok(subjects.includes(one) || !isAbout(outline, [one]));
      assert.ok(!isAbout(outline, []));
      const other = writeKeyLogLeaf({ ...leaf, nonce: 'A'.repeat(22) });
      assert.ok(leaf.nonce === 'A'.repeat(22) || !isTextOf(other.outline, text));
    }),
  );
});

test('an entry that hides a leaf from one whom it is about is not the entry of that leaf', () => {
  fc.assert(
    fc.property(anyLeaf, uuid, (leaf, stranger) => {
      const { text, outline, subjects } = writeKeyLogLeaf(leaf);
      expectOutline(outline, leaf);
      const hidden = [[subject.archive(stranger)], [...subjects, subject.archive(stranger)], subjects.toReversed()];
      for (const one of hidden.filter((list) => canonicalJson(list) !== canonicalJson(subjects)))
        isMalformed(() => expectOutline(outlineOf(text, one), leaf));
      isMalformed(() => expectOutline(outline.subarray(0, 32), leaf));
      isMalformed(() => expectOutline(outline.with(0, outline[0]! ^ 1), leaf));
    }),
  );
});

test('bytes that are no entry are about nobody', () => {
  const { outline, text, subjects } = writeKeyLogLeaf({
    kind: 'daily_heads',
    day: '2026-01-02',
    archives: 1,
    root: '0'.repeat(64),
    at: '2026-01-02T03:04:05.678Z',
    nonce: 'A'.repeat(22),
  });
  assert.ok(isAbout(outline, subjects));
  const strange = [new Uint8Array(0), outline.subarray(0, 32), outline.subarray(0, 47), new Uint8Array(32 + 16 * 9)];
  for (const wrong of strange) assert.ok(!isOutline(wrong) && !isAbout(wrong, subjects) && !isTextOf(wrong, text));
});

test('the head of an archive is proved to be among those of a day, and no other head is', async () => {
  const head = fc.record({ archiveId: uuid, commitNumber: fc.integer({ min: 1 }), commitSha256: hex(32) });
  const heads = fc.uniqueArray(head, { minLength: 1, maxLength: 20, selector: ({ archiveId }) => archiveId });
  await fc.assert(
    fc.asyncProperty(heads, fc.nat(), async (all: readonly ArchiveHead[], which) => {
      const place = which % all.length;
      const claim = { place, archives: all.length, root: archiveHeadsRoot(all) };
      const proof = await proveArchiveHead(all, place);
      const own = all[place]!;
      assert.ok(isArchiveHeadProved(own, claim, proof));
      const rolledBack = { ...own, commitNumber: own.commitNumber - 1 };
      assert.ok(!isArchiveHeadProved(rolledBack, claim, proof));
      assert.ok(!isArchiveHeadProved({ ...own, archiveId: own.archiveId.replaceAll(/\w/g, '0') }, claim, proof));
      assert.ok(!isArchiveHeadProved(own, { ...claim, place: place + 1 }, proof));
      assert.ok(!isArchiveHeadProved(own, claim, [...proof, claim.root]));
    }),
    { numRuns: 50 },
  );
});
