import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import type { Reference } from '../format/extent.ts';
import { maxNodeBytes, parseTreeNode } from '../format/tree-node.ts';
import { createMemoryRecords, type MemoryRecords } from '../testing/memory-records.ts';
import type { TreePut } from './tree-puts.ts';
import { NodeCache, TreeReader } from './tree-reader.ts';
import { updateTree } from './update-tree.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const numbered = (number: number) => bytes(`key ${String(number).padStart(9, '0')}`);

async function contents(root: Reference, records: MemoryRecords): Promise<Map<string, string>> {
  const reader = new TreeReader(root, new NodeCache(records.load));
  const found = new Map<string, string>();
  for await (const { key, value } of reader.range(bytes('\0'))) {
    found.set(Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1'));
  }
  return found;
}

/** All nodes of a tree by level, having checked that it is one. */
async function nodesOf(root: Reference, records: MemoryRecords) {
  const nodes: { ordinal: number; level: number; bytes: number }[] = [];
  for await (const { reference, node } of new TreeReader(root, new NodeCache(records.load)).nodes()) {
    const raw = await records.load(reference);
    assert.ok(raw.length <= maxNodeBytes);
    nodes.push({ ordinal: reference.ordinal, level: node.level, bytes: raw.length });
  }
  return nodes;
}

/** Keys of many lengths that share beginnings; values up to a size at which few fit into a node. */
const putArbitrary = fc.record({
  number: fc.nat({ max: 400 }),
  tail: fc.constantFrom('', 'x', 'y'.repeat(300), 'z'.repeat(4000)),
  size: fc.option(fc.constantFrom(0, 1, 90, 2000, 8192), { freq: 4, nil: undefined }),
});

test('any updates one after the other give the map that they give in a sorted list, and drop just the nodes that went', async () => {
  const steps = fc.array(fc.array(putArbitrary, { maxLength: 60 }), { minLength: 1, maxLength: 6 });
  const property = fc.asyncProperty(steps, async (updates) => {
    const records = createMemoryRecords();
    const model = new Map<string, string>();
    let root: Reference | undefined;
    for (const [step, update] of updates.entries()) {
      const puts = new Map<string, string | undefined>();
      for (const { number, tail, size } of update) {
        puts.set(`k${number}${tail}`, size === undefined ? undefined : String(step).repeat(size));
      }
      for (const [key, value] of puts) {
        if (value === undefined) model.delete(key);
        else model.set(key, value);
      }
      const sorted: TreePut[] = [...puts.keys()]
        .sort()
        .map((key) => ({ key: bytes(key), value: puts.get(key) === undefined ? undefined : bytes(puts.get(key)!) }));
      root = await updateTree(root, sorted, records);
      assert.deepEqual(await contents(root, records), model);
      assert.deepEqual([...(await contents(root, records)).keys()], [...model.keys()].sort());
      const reachable = (await nodesOf(root, records)).map((node) => node.ordinal);
      assert.deepEqual(new Set(records.kept), new Set(reachable));
    }
  });
  await fc.assert(property, { numRuns: 150 });
});

test('a hundred thousand puts make full leaves, one more copies a path, and none copies nothing', async () => {
  const records = createMemoryRecords();
  async function* many() {
    for (let i = 0; i < 100_000; i += 1)
      yield await Promise.resolve({ key: numbered(i * 2), value: new Uint8Array(70) });
  }
  const root = await updateTree(undefined, many(), records);
  const nodes = await nodesOf(root, records);
  const leaves = nodes.filter((node) => node.level === 0);
  assert.equal(Math.max(...nodes.map((node) => node.level)), 2);
  assert.ok(leaves.every((leaf, index) => index >= leaves.length - 2 || leaf.bytes > maxNodeBytes * 0.8));

  const before = records.stored;
  const loads = records.loaded;
  const next = await updateTree(root, [{ key: numbered(77_777), value: new Uint8Array(70) }], records);
  assert.equal(records.stored - before, 3);
  assert.equal(records.loaded - loads, 3);
  assert.equal(await updateTree(next, [], records), next);
  const same = [
    { key: numbered(77_777), value: new Uint8Array(70) },
    { key: numbered(77_779), value: undefined },
  ];
  assert.deepEqual(await updateTree(next, same, records), next);
  assert.equal(records.stored - before, 3);
});

test('rising puts at the end, a few a time, leave full leaves behind', async () => {
  const records = createMemoryRecords();
  let root: Reference | undefined;
  for (let step = 0; step < 300; step += 1) {
    const puts = Array.from({ length: 20 }, (_, i) => ({ key: numbered(step * 20 + i), value: new Uint8Array(44) }));
    root = await updateTree(root, puts, records);
  }
  const leaves = (await nodesOf(root!, records)).filter((node) => node.level === 0);
  const average = leaves.reduce((sum, leaf) => sum + leaf.bytes, 0) / leaves.length;
  assert.ok(average > maxNodeBytes * 0.75, `${leaves.length} leaves of ${average} bytes`);
});

test('leaves that lost most of their keys are joined, and an empty map is one empty leaf', async () => {
  const records = createMemoryRecords();
  const keys = Array.from({ length: 20_000 }, (_, i) => numbered(i));
  const root = await updateTree(
    undefined,
    keys.map((key) => ({ key, value: new Uint8Array(60) })),
    records,
  );
  const before = (await nodesOf(root, records)).length;
  const thinned = await updateTree(
    root,
    keys.filter((_, i) => i % 40 !== 0).map((key) => ({ key, value: undefined })),
    records,
  );
  assert.equal((await contents(thinned, records)).size, 500);
  const nodes = await nodesOf(thinned, records);
  assert.ok(nodes.length < before / 20, `${nodes.length} of ${before} nodes`);
  const empty = await updateTree(
    thinned,
    keys.map((key) => ({ key, value: undefined })),
    records,
  );
  assert.deepEqual(parseTreeNode(await records.load(empty)), { level: 0, entries: [] });
  assert.equal(records.kept.size, 1);
});

test('of two hundred thousand puts in one update only a few nodes a level wait at any time', async () => {
  let [given, written, mostWaiting, stored] = [0, 0, 0, 0];
  function* many() {
    for (; given < 200_000; given += 1) {
      mostWaiting = Math.max(mostWaiting, given - written);
      yield { key: numbered(given), value: new Uint8Array(70) };
    }
  }
  const counting = {
    load: () => Promise.reject(new Error('nothing is loaded')),
    store: (raw: Uint8Array, level: number) => {
      if (level === 0) written += parseTreeNode(raw).entries.length;
      return { ordinal: stored++, sha256: new Uint8Array(32) };
    },
  };
  await updateTree(undefined, many(), counting);
  assert.equal(written, 200_000);
  assert.ok(mostWaiting < 1000, `${mostWaiting} entries wait`);
});

test('puts that do not rise are a bug that is named, rising ones are not', async () => {
  const put = (number: number) => ({ key: numbered(number), value: new Uint8Array(1) });
  await assert.rejects(updateTree(undefined, [put(2), put(1)], createMemoryRecords()), /puts come by rising key/);
  await assert.rejects(updateTree(undefined, [put(1), put(1)], createMemoryRecords()), /puts come by rising key/);
  await assert.doesNotReject(updateTree(undefined, [put(1), put(2)], createMemoryRecords()));
});
