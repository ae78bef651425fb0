import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';

import { fixedTools, folderSource } from './folder-source.ts';
import { goldenArchives } from './golden-archives.ts';
import { goldenEntropy } from './golden-begin.ts';
import { goldenFiles, readFiles } from './golden-folder.ts';
import { escapeName } from './golden-scene.ts';
import { isSignedBy } from '../crypto/ed25519.node.ts';
import { introductionMessage } from '../format/keyring.ts';
import { formatOrdinal } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { contentOf, isFuzzy, type Row } from '../format/row.ts';
import { isLetGo, parseLive } from '../format/live.ts';
import type { StreamRef } from '../format/stream.ts';
import { parseXattrs } from '../format/xattrs.ts';
import { type OpenedArchive, openArchive } from '../tree/open-archive.ts';
import type { ReadAccess } from '../tree/record-source.ts';
import { type DirectoryPlace, placeOf, rootDirectory } from '../tree/state.ts';

const goldenFolder = join(import.meta.dirname, '../../testdata/v1-draft');

type Expected = {
  readonly archiveId: string;
  readonly zstd: string;
  readonly head: { readonly number: number; readonly ordinal: string; readonly sha256: string };
  readonly keyring: number;
  readonly branches?: readonly { readonly number: number; readonly ordinal: string }[];
  readonly commits: readonly { readonly number: number; readonly at: [number, number] }[];
  readonly at?: readonly { readonly at: [number, number]; readonly commit: number | null }[];
  readonly liveSet?: number;
  readonly unintroduced?: readonly { readonly number: number; readonly origin: string }[];
  readonly notNeeded?: readonly string[];
  readonly damage?: { readonly lostFiles: readonly string[]; readonly lostRecords: readonly string[] };
  readonly instants: readonly { readonly commit: number; readonly entries: readonly object[] }[];
};

async function expectedOf(name: string): Promise<Expected> {
  return JSON.parse(await readFile(join(goldenFolder, name, 'expected.json'), 'utf8')) as Expected;
}

const text = (bytes: Uint8Array) => escapeName(Buffer.from(bytes).toString('latin1'));
const pair = (time: { seconds: number; nanoseconds: number }) => [time.seconds, time.nanoseconds];

async function bytesOf(archive: OpenedArchive, stream: StreamRef): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const { bytes, length } of archive.streams.pieces(stream)) pieces.push(bytes ?? new Uint8Array(length));
  return Buffer.concat(pieces);
}

async function contentFacts(archive: OpenedArchive, stream: StreamRef | undefined): Promise<object> {
  if (stream === undefined) return { size: 0, sha256: createHash('sha256').digest('hex') };
  if (stream.size >= 2 ** 30) {
    for await (const extent of archive.streams.extents(stream)) assert.ok(extent.length > 0);
    return { size: stream.size };
  }
  const sha256 = createHash('sha256')
    .update(await bytesOf(archive, stream))
    .digest();
  if (stream.plainSha256) assert.deepEqual(sha256, Buffer.from(stream.plainSha256));
  return { size: stream.size, sha256: sha256.toString('hex') };
}

function metadataFacts(row: Row): object {
  return {
    ...(row.mode !== undefined && { mode: row.mode.toString(8).padStart(4, '0') }),
    ...(row.uid !== undefined && { uid: row.uid }),
    ...(row.gid !== undefined && { gid: row.gid }),
    ...(row.userName && { user: text(row.userName) }),
    ...(row.groupName && { group: text(row.groupName) }),
    ...(row.modifiedAt && { modifiedAt: pair(row.modifiedAt) }),
    ...(row.changedAt && { changedAt: pair(row.changedAt) }),
    ...(row.bornAt && { bornAt: pair(row.bornAt) }),
    ...(row.sets && { sets: row.sets }),
    ...(row.mountPoint && { mountPoint: text(row.mountPoint) }),
  };
}

async function xattrFacts(archive: OpenedArchive, row: Row): Promise<object> {
  const stream = row.streams?.find(({ kind }) => kind === 'xattrs');
  if (stream === undefined) return {};
  const xattrs = parseXattrs(await bytesOf(archive, stream));
  return { xattrs: Object.fromEntries(xattrs.map(({ name, value }) => [text(name), value.toHex()])) };
}

async function streamFacts(archive: OpenedArchive, row: Row): Promise<object> {
  const others = (row.streams ?? []).filter(({ kind }) => kind === 'fork' || kind === 'alternate');
  if (others.length === 0) return {};
  const facts = others.map(async (stream) => {
    return { kind: stream.kind, name: text(stream.name!), ...(await contentFacts(archive, stream)) };
  });
  return { streams: await Promise.all(facts) };
}

async function leafFacts(archive: OpenedArchive, row: Row): Promise<object> {
  return {
    ...metadataFacts(row),
    ...(row.type === 'file' && (await contentFacts(archive, contentOf(row)))),
    ...(row.target && { target: text(row.target) }),
    ...(row.device && { device: [row.device.major, row.device.minor] }),
    ...(row.linkGroup !== undefined && { linkGroup: row.linkGroup }),
    ...(isFuzzy(row) && { fuzzy: true }),
    ...(await xattrFacts(archive, row)),
    ...(await streamFacts(archive, row)),
  };
}

/** Everything that is there at a commit, as `expected.json` says it; files that do not read have only their path. */
async function listing(archive: OpenedArchive, commit: number): Promise<object[]> {
  const entries: object[] = [];
  const walk = async (place: DirectoryPlace, path: string): Promise<void> => {
    for await (const { name, row } of archive.state.list(place, commit)) {
      const here = path + text(name);
      const inner = placeOf(row);
      if (inner === undefined) {
        const facts = await leafFacts(archive, row).catch((error: { code?: string }) => ({ lost: error.code }));
        entries.push({ path: here, type: row.type, ...facts });
        continue;
      }
      const own = await archive.state.rowAt(inner, new Uint8Array(0), commit);
      entries.push({
        path: here,
        type: 'directory',
        ...metadataFacts(own!.row),
        ...(await xattrFacts(archive, own!.row)),
      });
      await walk(inner, `${here}/`);
    }
  };
  await walk(rootDirectory, '');
  return entries;
}

async function open(name: string, access: ReadAccess = { entropy: goldenEntropy }) {
  const source = await folderSource(join(goldenFolder, name, 'archive'), (await expectedOf(name)).archiveId);
  try {
    return { source, archive: await openArchive(source, access, fixedTools) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function keyFileOf(name: string): Promise<ReadAccess> {
  const lines = (await readFile(join(goldenFolder, name, 'key-file.txt'), 'utf8')).split('\n');
  const epochs = lines.filter((line) => line.startsWith('epoch ')).map((line) => line.split(' '));
  return { epochs: epochs.map(([, number, , key]) => ({ number: Number(number), key: Uint8Array.fromHex(key!) })) };
}

async function checkLive(source: Awaited<ReturnType<typeof folderSource>>, expected: Expected): Promise<void> {
  const parts = [];
  for await (const ordinal of source.ordinalsOf(RecordKind.live)) {
    parts.push(parseLive(splitRecord((await source.read(ordinal))!).open));
  }
  const sets = Map.groupBy(parts, ({ number }) => number);
  const complete = [...sets.values()].filter((set) => set.length === set[0]!.parts);
  const newest = complete.toSorted((a, b) => b[0]!.number - a[0]!.number)[0]!;
  assert.equal(newest[0]!.number, expected.liveSet);
  const gone = (expected.notNeeded ?? []).map(
    (ordinal) => Number(ordinal.split(':')[0]) * 2 ** 32 + Number(ordinal.split(':')[1]),
  );
  for (const ordinal of gone) {
    assert.ok(isLetGo(newest, ordinal));
    assert.equal(await source.read(ordinal), undefined);
  }
  for (const kind of [RecordKind.block, RecordKind.bundle, RecordKind.list, RecordKind.tree, RecordKind.commit]) {
    for await (const ordinal of source.ordinalsOf(kind)) assert.equal(isLetGo(newest, ordinal), false);
  }
}

for (const name of Object.keys(goldenArchives)) {
  test(`the golden archive ${name} is built again byte for byte`, async (t) => {
    const { zstd } = await expectedOf(name);
    if (zstd !== process.versions.zstd) return t.skip(`built with zstd ${zstd}, not ${process.versions.zstd}`);
    const built = goldenFiles(await goldenArchives[name]!());
    const stored = await readFiles(join(goldenFolder, name));
    assert.deepEqual([...stored.keys()].sort(), [...built.keys()].sort());
    for (const [path, bytes] of built) assert.equal(Buffer.compare(stored.get(path)!, bytes), 0, path);
  });

  test(`the golden archive ${name} reads as expected with the recovery code and with the key file`, async () => {
    const expected = await expectedOf(name);
    for (const access of [{ entropy: goldenEntropy }, await keyFileOf(name)]) {
      const { archive, source } = await open(name, access);
      assert.deepEqual(
        archive.problems.map(({ problem }) => problem.replace(/: that.*/, '')),
        (expected.unintroduced ?? []).map(
          ({ number, origin }) => `writer ${number} (${origin}) was not introduced by the writer before it`,
        ),
      );
      assert.equal(archive.archiveId.toHex(), expected.archiveId);
      const { number, ordinal, sha256 } = archive.head;
      assert.deepEqual({ number, ordinal: formatOrdinal(ordinal), sha256: sha256.toHex() }, expected.head);
      assert.equal(archive.keyring.number, expected.keyring);
      const branches = archive.branches.map((branch) => `${branch.number} ${formatOrdinal(branch.ordinal)}`);
      assert.deepEqual(
        branches,
        (expected.branches ?? []).map((branch) => `${branch.number} ${branch.ordinal}`),
      );
      const commits = await Array.fromAsync(archive.state.commits());
      assert.deepEqual(
        commits.map((commit) => ({ number: commit.number, at: pair(commit.time) })),
        expected.commits,
      );
      for (const { at, commit } of expected.at ?? []) {
        const found = await archive.state.commitAt({ seconds: at[0], nanoseconds: at[1] });
        assert.equal(found ?? null, commit);
      }
      const lost = new Set(expected.damage?.lostFiles);
      for (const { commit, entries } of expected.instants) {
        const readable = entries.map((entry) => {
          const { path, type } = entry as { path: string; type: string };
          return lost.has(path) ? { path, type, lost: 'archive.record_missing' } : entry;
        });
        assert.deepEqual(await listing(archive, commit), readable);
      }
      if (expected.liveSet !== undefined) await checkLive(source, expected);
      await source.close();
    }
  });
}

test('the golden archives are of every kind of record and small enough to be kept for ever', async () => {
  const kinds = new Set<number>();
  for (const name of Object.keys(goldenArchives)) {
    const { source } = await open(name);
    for (const kind of Object.values(RecordKind)) for await (const _ of source.ordinalsOf(kind)) kinds.add(kind);
    await source.close();
  }
  assert.deepEqual(kinds, new Set(Object.values(RecordKind)));
  assert.deepEqual((await readdir(goldenFolder)).sort(), Object.keys(goldenArchives).sort());
  const files = await readFiles(goldenFolder);
  assert.ok([...files.values()].reduce((sum, bytes) => sum + bytes.length, 0) < 360_000);
});

test('a writer that was introduced carries the signature of the one before, and one that was not carries none', async () => {
  const { archive, source } = await open('writers');
  const { writers } = archive.keyring;
  assert.deepEqual(
    writers.map(({ introduction }) => introduction !== undefined),
    [false, true, true, false],
  );
  for (const [index, writer] of writers.entries()) {
    if (writer.introduction === undefined) continue;
    const message = introductionMessage(archive.archiveId, writer);
    assert.ok(isSignedBy(writers[index - 1]!.publicKey, message, writer.introduction));
    assert.ok(!isSignedBy(writer.publicKey, message, writer.introduction));
  }
  await source.close();
});

test('another recovery code opens no golden archive, and a key file of an older epoch the commits of that', async () => {
  await assert.rejects(open('writers', { entropy: new Uint8Array(32) }), { code: 'archive.no_keyring' });
  const { epochs } = (await keyFileOf('writers')) as { epochs: { number: number; key: Uint8Array }[] };
  const { archive, source } = await open('writers', { epochs: epochs.slice(0, 1) });
  // The fourth commit of that epoch is of the first writer, who had introduced the second: a branch.
  assert.deepEqual([archive.head.number, archive.keyring.number], [3, 3]);
  assert.deepEqual(
    archive.branches.map(({ number }) => number),
    [4],
  );
  const said = archive.problems.map(({ problem }) => problem);
  assert.ok(said.includes('keyring 4 is not of the line that counts: its writers do not count'));
  assert.ok(said.some((problem) => problem.startsWith('no commit that opens names keyring 3')));
  await source.close();
  await (await open('writers', { epochs })).source.close();
});
