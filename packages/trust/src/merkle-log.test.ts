import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  appendLeaf,
  appendLeaves,
  emptyTree,
  leafHash,
  memorySource,
  proveConsistency,
  proveInclusion,
  readTreeState,
  rootOf,
  type Hash,
  type HashSource,
} from './merkle-log.ts';
import { verifyConsistency, verifyInclusion } from './merkle-proof.ts';

/** The eight entries and nine roots of the Certificate Transparency reference tests. */
const publishedEntries = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const publishedRoots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** Index of the leaf, size of the tree, proof. */
const publishedInclusions: readonly (readonly [number, number, readonly string[]])[] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];

/** Older size, newer size, proof. */
const publishedConsistencies: readonly (readonly [number, number, readonly string[]])[] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];

/** The definition of RFC 9162, 2.1.1, word for word: the oracle. */
function rootByDefinition(entries: readonly Uint8Array[]): Hash {
  const sha256 = (...parts: readonly Uint8Array[]) =>
    new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());
  if (entries.length === 0) return sha256();
  if (entries.length === 1) return sha256(Uint8Array.of(0), entries[0]!);
  const k = splitByDefinition(entries.length);
  return sha256(Uint8Array.of(1), rootByDefinition(entries.slice(0, k)), rootByDefinition(entries.slice(k)));
}

/** PATH(m, D_n) of RFC 9162, 2.1.3.1. */
function pathByDefinition(m: number, entries: readonly Uint8Array[]): readonly Hash[] {
  if (entries.length === 1) return [];
  const k = splitByDefinition(entries.length);
  const [left, right] = [entries.slice(0, k), entries.slice(k)];
  return m < k
    ? [...pathByDefinition(m, left), rootByDefinition(right)]
    : [...pathByDefinition(m - k, right), rootByDefinition(left)];
}

/** SUBPROOF(m, D_n, b) of RFC 9162, 2.1.4.1. */
function subproofByDefinition(m: number, entries: readonly Uint8Array[], known: boolean): readonly Hash[] {
  if (m === entries.length) return known ? [] : [rootByDefinition(entries)];
  const k = splitByDefinition(entries.length);
  const [left, right] = [entries.slice(0, k), entries.slice(k)];
  return m <= k
    ? [...subproofByDefinition(m, left, known), rootByDefinition(right)]
    : [...subproofByDefinition(m - k, right, false), rootByDefinition(left)];
}

function splitByDefinition(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function entriesOf(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, index) => new TextEncoder().encode(`entry ${index}`));
}

function grow(entries: readonly Uint8Array[]): { readonly root: Hash; readonly source: HashSource } {
  const { state, nodes } = appendLeaves(emptyTree, entries.map(leafHash));
  return { root: rootOf(state), source: memorySource(nodes) };
}

const published = publishedEntries.map((entry) => Uint8Array.fromHex(entry));

test('the roots of the reference entries are the published ones', () => {
  publishedRoots.forEach((root, size) => {
    assert.equal(grow(published.slice(0, size)).root.toHex(), root);
    assert.equal(rootByDefinition(published.slice(0, size)).toHex(), root);
  });
});

test('the published inclusion proofs are made and accepted', async () => {
  const { source } = grow(published);
  for (const [leafIndex, treeSize, hashes] of publishedInclusions) {
    const proof = await proveInclusion(source, leafIndex, treeSize);
    assert.deepEqual(
      proof.map((hash) => hash.toHex()),
      hashes,
    );
    const root = Uint8Array.fromHex(publishedRoots[treeSize]!);
    const claim = { leafHash: leafHash(published[leafIndex]!), leafIndex, treeSize, root };
    assert.equal(verifyInclusion(claim, proof), true);
  }
});

test('the published consistency proofs are made and accepted', async () => {
  const { source } = grow(published);
  for (const [fromSize, toSize, hashes] of publishedConsistencies) {
    const proof = await proveConsistency(source, fromSize, toSize);
    assert.deepEqual(
      proof.map((hash) => hash.toHex()),
      hashes,
    );
    const [fromRoot, toRoot] = [fromSize, toSize].map((size) => Uint8Array.fromHex(publishedRoots[size]!)) as [
      Hash,
      Hash,
    ];
    assert.equal(verifyConsistency({ fromSize, fromRoot, toSize, toRoot }, proof), true);
  }
});

test('every proof of every tree up to 33 leaves is the one RFC 9162 defines, and is accepted', async () => {
  const entries = entriesOf(33);
  const { source } = grow(entries);
  for (let size = 1; size <= entries.length; size++) {
    const all = entries.slice(0, size);
    const root = rootByDefinition(all);
    for (let m = 0; m < size; m++) {
      const proof = await proveInclusion(source, m, size);
      assert.deepEqual(proof, pathByDefinition(m, all));
      assert.ok(verifyInclusion({ leafHash: leafHash(all[m]!), leafIndex: m, treeSize: size, root }, proof));
    }
    for (let m = 1; m <= size; m++) {
      const proof = await proveConsistency(source, m, size);
      assert.deepEqual(proof, subproofByDefinition(m, all, true));
      const fromRoot = rootByDefinition(all.slice(0, m));
      assert.ok(verifyConsistency({ fromSize: m, fromRoot, toSize: size, toRoot: root }, proof));
    }
  }
});

test('an altered claim or proof is refused, whatever is altered', async () => {
  const sizes = fc.integer({ min: 2, max: 200 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.nat(31), async ([size, index], which, byte) => {
      const entries = entriesOf(size);
      const { root, source } = grow(entries);
      const proof = await proveInclusion(source, index, size);
      const claim = { leafHash: leafHash(entries[index]!), leafIndex: index, treeSize: size, root };
      assert.ok(verifyInclusion(claim, proof));
      for (const wrong of alterations(proof, which, byte)) assert.ok(!verifyInclusion(claim, wrong));
      assert.ok(!verifyInclusion({ ...claim, root: flip(root, byte) }, proof));
      assert.ok(!verifyInclusion({ ...claim, leafHash: flip(claim.leafHash, byte) }, proof));
      for (const leafIndex of [index - 1, index + 1, index ^ 1, size, -1, 0.5, NaN])
        assert.ok(!verifyInclusion({ ...claim, leafIndex }, proof));
    }),
    { numRuns: 60 },
  );
});

test('an altered history is refused, whatever is altered', async () => {
  const sizes = fc
    .integer({ min: 2, max: 200 })
    .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 1, max: size - 1 })));
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.nat(31), async ([toSize, fromSize], which, byte) => {
      const entries = entriesOf(toSize);
      const { root: toRoot, source } = grow(entries);
      const fromRoot = rootOf(await readTreeState(source, fromSize));
      const proof = await proveConsistency(source, fromSize, toSize);
      const claim = { fromSize, fromRoot, toSize, toRoot };
      assert.ok(verifyConsistency(claim, proof));
      for (const wrong of alterations(proof, which, byte)) assert.ok(!verifyConsistency(claim, wrong));
      assert.ok(!verifyConsistency({ ...claim, fromRoot: flip(fromRoot, byte) }, proof));
      assert.ok(!verifyConsistency({ ...claim, toRoot: flip(toRoot, byte) }, proof));
      assert.ok(!verifyConsistency({ ...claim, fromSize: fromSize + 1 }, proof));
      const rewritten = entries.with(which % fromSize, new TextEncoder().encode('rewritten'));
      const other = grow(rewritten);
      const otherProof = await proveConsistency(other.source, fromSize, toSize);
      assert.ok(!verifyConsistency({ ...claim, toRoot: other.root }, otherProof));
    }),
    { numRuns: 60 },
  );
});

test('an empty log and an equal log take the empty proof and no other', async () => {
  const { root, source } = grow(entriesOf(5));
  const empty = rootOf(emptyTree);
  const equalLogs = { fromSize: 5, fromRoot: root, toSize: 5, toRoot: root };
  const fromEmpty = { fromSize: 0, fromRoot: empty, toSize: 5, toRoot: root };
  const bothEmpty = { fromSize: 0, fromRoot: empty, toSize: 0, toRoot: empty };
  assert.deepEqual(await proveConsistency(source, 0, 5), []);
  assert.deepEqual(await proveConsistency(source, 5, 5), []);
  for (const claim of [equalLogs, fromEmpty, bothEmpty]) {
    assert.ok(verifyConsistency(claim, []));
    assert.ok(!verifyConsistency(claim, [root]));
  }
  assert.ok(!verifyConsistency({ ...fromEmpty, fromRoot: root }, []));
  assert.ok(!verifyConsistency({ ...bothEmpty, toRoot: root }, []));
  assert.ok(!verifyConsistency({ ...equalLogs, toRoot: empty }, []));
  assert.ok(!verifyConsistency({ fromSize: 5, fromRoot: root, toSize: 4, toRoot: root }, []));
});

test('appending from a state read back gives the roots and nodes of one that never stopped', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(100), fc.nat(100), async (before, after) => {
      const leaves = entriesOf(before + after).map(leafHash);
      const whole = appendLeaves(emptyTree, leaves);
      const resumed = await readTreeState(memorySource(whole.nodes), before);
      const continued = appendLeaves(resumed, leaves.slice(before));
      assert.deepEqual(continued.state, whole.state);
      assert.deepEqual(continued.nodes, whole.nodes.slice(whole.nodes.length - continued.nodes.length));
    }),
    { numRuns: 60 },
  );
});

test('the state stays logarithmic and sizes beyond 32 bits keep their arithmetic', async () => {
  const size = 2 ** 40 + 3;
  const peaks = [leafHash(Uint8Array.of(1)), leafHash(Uint8Array.of(2)), leafHash(Uint8Array.of(3))];
  const appended = appendLeaf({ size, peaks }, leafHash(Uint8Array.of(4)));
  assert.deepEqual(
    appended.nodes.map(({ level, index }) => [level, index]),
    [
      [0, 2 ** 40 + 3],
      [1, 2 ** 39 + 1],
      [2, 2 ** 38],
    ],
  );
  assert.equal(appended.state.peaks.length, 2);
  const asked: string[] = [];
  const source: HashSource = (nodes) => {
    asked.push(...nodes.map(({ level, index }) => `${level}/${index}`));
    return Promise.resolve(nodes.map(() => peaks[0]!));
  };
  const proof = await proveInclusion(source, 2 ** 40 + 1, size + 1);
  assert.deepEqual(asked, [`0/${2 ** 40}`, `1/${2 ** 39 + 1}`, '40/0']);
  assert.equal(proof.length, 3);
});

function alterations(proof: readonly Hash[], which: number, byte: number): readonly (readonly Hash[])[] {
  const added = leafHash(Uint8Array.of(0xff));
  const longer = [
    [...proof, added],
    [added, ...proof],
    [...proof, new Uint8Array(0)],
  ];
  if (proof.length === 0) return longer;
  const place = which % proof.length;
  const changed = proof.with(place, flip(proof[place]!, byte));
  const cut = proof.with(place, proof[place]!.subarray(1));
  return [...longer, changed, cut, proof.slice(1), proof.slice(0, -1), []];
}

function flip(hash: Hash, byte: number): Hash {
  return hash.with(byte, hash[byte]! ^ 1);
}
