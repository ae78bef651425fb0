import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import {
  formatHeadFile,
  formatVerifierKey,
  leafHash,
  noteSigner,
  rootAt,
  signCheckpoint,
  type Hash,
  type NoteSigner,
} from '@holdfast/trust';
import { newCosigner } from '@holdfast/trust/testing';
import { checkHeads } from './check-heads.ts';

const newSigner = () => noteSigner('holdfast/installation/tenant/audit', generateKeyPairSync('ed25519').privateKey);
const signer = newSigner();
const verifiedAt = '2026-01-02T03:04:05.678Z';
const leaves = (count: number, what = 'leaf') =>
  Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`${what} ${index}`)));

/** Files of heads over some leaves, each in a folder of the test. */
function filesOf(t: TestContext, heads: readonly (readonly [hashes: readonly Hash[], by?: NoteSigner])[]) {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast heads '));
  t.after(() => rmSync(folder, { recursive: true }));
  return heads.map(([hashes, by = signer], place) => {
    const origin = 'holdfast/installation/tenant/keys';
    const note = signCheckpoint({ origin, treeSize: hashes.length, root: rootAt(hashes, hashes.length) }, [by]);
    const file = path.join(folder, `head ${place}`);
    writeFileSync(
      file,
      formatHeadFile({ origin, verifier: formatVerifierKey(by.key), note, verifiedAt, leaves: hashes }),
    );
    return file;
  });
}

test('heads of one log are said to be, in whatever order they are named', async (t) => {
  const files = filesOf(t, [[leaves(5)], [leaves(0)], [leaves(9)], [leaves(5)]]);
  const [value, text] = await checkHeads(files);
  assert.deepEqual(
    (value as { heads: { treeSize: number }[] }).heads.map(({ treeSize }) => treeSize),
    [0, 5, 5, 9],
  );
  assert.match(text, /All heads are of one log.*shorter head was not compared/);
  const [, equal] = await checkHeads([files[0]!, files[3]!]);
  assert.match(equal, /All heads are of one log\.\n/, 'nothing came after');
});

test('a fork is found wherever it is, between any two of the files, and names the two and the leaf', async (t) => {
  const forked = [...leaves(3), ...leaves(4, 'other')];
  const [short, long, fork] = filesOf(t, [[leaves(5)], [leaves(9)], [forked]]) as [string, string, string];
  for (const files of [
    [short, fork],
    [fork, short],
    [short, long, fork],
    [fork, long],
  ]) {
    await assert.rejects(checkHeads(files), (error: unknown) => {
      assert.ok(error instanceof CodedError);
      assert.deepEqual([error.code, error.details['atLeaf']], ['head_check.forked', 3]);
      assert.ok((error.details['files'] as string[]).includes(fork));
      return true;
    });
  }
  await checkHeads([short, long]);
});

test('heads under different keys are not compared, and one alone is not', async (t) => {
  const [own, foreign, second] = filesOf(t, [[leaves(5)], [leaves(5), newSigner()], [leaves(6)]]) as [
    string,
    string,
    string,
  ];
  await assert.rejects(checkHeads([own, foreign]), { code: 'head_check.other_log' });
  await assert.rejects(checkHeads([own]), { code: 'head_check.too_few' });
  await checkHeads([own, second]);
});

test('a head as a witness has it is compared with the leaves of a head file, where those reach as far', async (t) => {
  const [short, long] = filesOf(t, [[leaves(5)], [leaves(9)]]) as [string, string];
  const witness = newCosigner('witness.example/w1');
  const noteOf = (hashes: readonly Hash[], { by = signer, origin = 'holdfast/installation/tenant/keys' } = {}) => {
    const head = { origin, treeSize: hashes.length, root: rootAt(hashes, hashes.length) };
    const note = signCheckpoint(head, [by]);
    const file = path.join(path.dirname(short), `note ${hashes.length} ${Math.random()}`);
    writeFileSync(file, note + witness.line(note, new Date()));
    return file;
  };
  const [value, text] = await checkHeads([short, noteOf(leaves(7)), long, noteOf(leaves(3))]);
  const { notes } = value as { readonly notes: readonly { readonly treeSize: number }[] };
  assert.deepEqual(
    notes.map(({ treeSize }) => treeSize),
    [7, 3],
  );
  assert.match(text, /All heads are of one log/);
  await checkHeads([noteOf(leaves(9)), long]);
  const forked = [...leaves(3), ...leaves(4, 'other')];
  await assert.rejects(checkHeads([long, noteOf(forked)]), { code: 'head_check.forked' });
  await assert.rejects(checkHeads([short, noteOf(leaves(7))]), { code: 'head_check.longer' });
  await assert.rejects(checkHeads([noteOf(leaves(7)), noteOf(leaves(5))]), { code: 'head_check.too_few' });
  for (const other of [{ by: newSigner() }, { origin: 'holdfast/installation/tenant/audit' }])
    await assert.rejects(checkHeads([long, noteOf(leaves(7), other)]), { code: 'head_check.other_log' });
});
