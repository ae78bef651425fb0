import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  appendLeaves,
  emptyTree,
  formatVerifierKey,
  leafHash,
  noteSigner,
  rootOf,
  signCheckpoint,
} from '@holdfast/trust';
import fc from 'fast-check';
import { verifyAuditLog, type LoggedEntry } from './verify-audit.ts';

const origin = 'holdfast/installation/tenant/audit';
const signer = noteSigner(origin, generateKeyPairSync('ed25519').privateKey);
const verifier = formatVerifierKey(signer.key);

const entriesOf = (texts: readonly string[]): LoggedEntry[] => texts.map((entry, logIndex) => ({ logIndex, entry }));
const numbered = (count: number) => entriesOf(Array.from({ length: count }, (_, index) => `{"entry":${index}}`));

/** The signed head over the first `treeSize` entries. */
function headOf(entries: readonly LoggedEntry[], treeSize: number, signedOrigin = origin): string {
  const leaves = entries.slice(0, treeSize).map(({ entry }) => leafHash(new TextEncoder().encode(entry)));
  return signCheckpoint({ origin: signedOrigin, treeSize, root: rootOf(appendLeaves(emptyTree, leaves).state) }, [
    signer,
  ]);
}

const verify = (entries: readonly LoggedEntry[], notes: readonly string[]) =>
  verifyAuditLog({ entries, notes, origin, verifier });

test('a whole log has no problem against any of its heads, in any order, and the newest says how much is vouched for', async () => {
  const log = numbered(20);
  const notes = [13, 0, 20, 1, 16].map((size) => headOf(log, size));
  assert.deepEqual(await verify(log, notes), { problems: [], treeSize: 20, vouchedFor: 20 });
  assert.deepEqual(await verify(log, notes.slice(0, 2)), { problems: [], treeSize: 20, vouchedFor: 13 });
  assert.deepEqual(await verify([], []), { problems: [], treeSize: 0, vouchedFor: 0 });
});

test('a gap or an exchange is found also after the newest head', async () => {
  const log = numbered(12);
  const notes = [headOf(log, 5)];
  const gap = log.filter(({ logIndex }) => logIndex !== 9);
  assert.deepEqual((await verify(gap, notes)).problems, [{ kind: 'out_of_order', expectedIndex: 9, foundIndex: 10 }]);
  const exchanged = [...log.slice(0, 8), log[9]!, log[8]!, ...log.slice(10)];
  assert.deepEqual((await verify(exchanged, notes)).problems, [
    { kind: 'out_of_order', expectedIndex: 8, foundIndex: 9 },
  ]);
  const twice = [...log.slice(0, 8), log[7]!, ...log.slice(8)];
  assert.deepEqual((await verify(twice, notes)).problems, [{ kind: 'out_of_order', expectedIndex: 8, foundIndex: 7 }]);
});

test('an alteration is found, and between which heads it lies', async () => {
  const log = numbered(20);
  const notes = [5, 10, 15].map((size) => headOf(log, size));
  const altered = log.map((line) => (line.logIndex === 7 ? { ...line, entry: '{"entry":70}' } : line));
  const { problems, vouchedFor } = await verify(altered, notes);
  assert.deepEqual(problems, [
    { kind: 'altered', sinceSize: 5, treeSize: 10 },
    { kind: 'altered', sinceSize: 5, treeSize: 15 },
  ]);
  assert.equal(vouchedFor, 5);
});

test('heads of another log, of another key, changed or cut are not believed', async () => {
  const log = numbered(4);
  const good = headOf(log, 4);
  const other = noteSigner(origin, generateKeyPairSync('ed25519').privateKey);
  const foreign = signCheckpoint({ origin, treeSize: 4, root: new Uint8Array(32) }, [other]);
  for (const note of [
    headOf(log, 4, 'holdfast/other'),
    foreign,
    good.replace('\n4\n', '\n3\n'),
    good.slice(0, 40),
    '',
  ]) {
    const { problems } = await verify(log, [note, good]);
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ['bad_head'],
      note,
    );
  }
});

test('any one change of a covered log is found, whatever and wherever', async () => {
  const change = fc.record({
    count: fc.integer({ min: 2, max: 40 }),
    at: fc.nat(),
    kind: fc.constantFrom('alter', 'remove', 'renumber', 'truncate'),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ count, at, kind }) => {
      const log = numbered(count);
      const place = at % count;
      const kept = log.filter(({ logIndex }) => logIndex !== place);
      const changed = {
        alter: log.map((line) => (line.logIndex === place ? { ...line, entry: `${line.entry} ` } : line)),
        remove: kept,
        renumber: entriesOf(kept.map(({ entry }) => entry)),
        truncate: log.slice(0, place),
      }[kind];
      assert.notDeepEqual((await verify(changed, [headOf(log, count)])).problems, []);
      assert.deepEqual((await verify(log, [headOf(log, count)])).problems, []);
    }),
  );
});
