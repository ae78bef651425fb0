import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { compareBytes } from '../format/cursor.ts';
import type { Reference } from '../format/extent.ts';
import { commitKey, fileKey, moveKey } from '../format/map-key.ts';
import { encodeCommitRow, encodeRow, type Row } from '../format/row.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { ByteWriter } from '../format/cursor.ts';
import { writeExtent } from '../format/extent.ts';
import { createMemoryRecords } from '../testing/memory-records.ts';
import { ArchiveState, type CommitFacts, type DirectoryPlace, rootDirectory } from './state.ts';
import { NodeCache } from './tree-reader.ts';
import { updateTree } from './update-tree.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const at = (seconds: number) => ({ seconds, nanoseconds: 0 });

/** The model: what is where, as plain nested maps. */
type Directory = { readonly number: number; since: number; readonly children: Map<string, Entry> };
type Entry = Directory | { readonly content: number };
const isDirectory = (entry: Entry | undefined): entry is Directory => entry !== undefined && 'children' in entry;

/** A writer as the format document tells one to write, beside the model that it keeps. */
class ModelWriter {
  readonly root: Directory = { number: 0, since: 0, children: new Map() };
  readonly gone = new Map<string, Directory>();
  readonly history: Map<string, string>[] = [new Map()];
  readonly commits: CommitFacts[] = [];
  #puts = new Map<string, MapEntry>();
  #counter = 0;

  get commit(): number {
    return this.history.length;
  }

  put(directory: number, name: string, row: Row): void {
    const key = fileKey(directory, bytes(name), this.commit);
    this.#puts.set(key.toHex(), { key, value: encodeRow(row) });
  }

  putEntry(parent: Directory, name: string, entry: Entry): void {
    parent.children.set(name, entry);
    if (!isDirectory(entry)) {
      const { content } = entry;
      return this.put(parent.number, name, { type: 'file', streams: [{ kind: 'content', size: 0 }], uid: content });
    }
    const { number, since } = entry;
    this.put(parent.number, name, { type: 'directory', directoryNumber: number, since });
    const hangs = { directoryNumber: parent.number, name: bytes(name) };
    this.put(number, '', { type: 'directory', directoryNumber: number, since, parent: hangs, mode: 0o755 });
  }

  remove(parent: Directory, name: string): void {
    parent.children.delete(name);
    this.put(parent.number, name, { type: 'absent', absence: 'gone' });
  }

  makeDirectory(parent: Directory, name: string): void {
    this.putEntry(parent, name, { number: ++this.#counter, since: this.commit, children: new Map() });
  }

  finish(): void {
    const number = this.commit;
    const puts = [...this.#puts.values()].sort((a, b) => compareBytes(a.key, b.key));
    this.commits.push({ number, sha256: new Uint8Array(32), time: at(number), corrections: [], puts });
    this.#puts = new Map();
    this.history.push(flatten(this.root));
  }
}

function flatten(directory: Directory, path = ''): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [name, entry] of directory.children) {
    const here = path === '' ? name : `${path}/${name}`;
    flat.set(here, isDirectory(entry) ? `directory ${entry.number}` : `file ${entry.content}`);
    if (isDirectory(entry)) for (const [inner, what] of flatten(entry, here)) flat.set(inner, what);
  }
  return flat;
}

type Step = { kind: number; from: number; to: number; value: number; isCheckpoint: boolean };

/** Directories of the model with a free or used name each; chosen by number so that shrinking is easy. */
function places(directory: Directory, depth = 0): { parent: Directory; name: string }[] {
  const here = ['a', 'b', 'c'].map((name) => ({ parent: directory, name }));
  const below = depth === 2 ? [] : [...directory.children.values()].filter(isDirectory);
  return [...here, ...below.flatMap((child) => places(child, depth + 1))];
}

function holds(directory: Directory, other: Directory): boolean {
  return (
    directory === other || [...directory.children.values()].some((child) => isDirectory(child) && holds(child, other))
  );
}

function depthOf(entry: Entry | undefined): number {
  return isDirectory(entry) ? 1 + Math.max(0, ...[...entry.children.values()].map(depthOf)) : 0;
}

/** Brings a deleted directory back to its place: the same number, a new since, and its children anew. */
function bringBack(writer: ModelWriter, parent: Directory, name: string, old: Directory): void {
  const children = [...old.children];
  const back: Directory = { number: old.number, since: writer.commit, children: new Map() };
  writer.putEntry(parent, name, back);
  for (const [child, entry] of children) {
    if (isDirectory(entry)) bringBack(writer, back, child, entry);
    else if (entry.content % 2 === 0) writer.putEntry(back, child, entry);
  }
}

type Place = { readonly parent: Directory; readonly name: string };

function remove(writer: ModelWriter, { parent, name }: Place): void {
  const entry = parent.children.get(name);
  if (entry === undefined) return;
  if (isDirectory(entry)) writer.gone.set(`${parent.number}/${name}`, entry);
  writer.remove(parent, name);
}

function bringBackTo(writer: ModelWriter, { parent, name }: Place): void {
  const old = writer.gone.get(`${parent.number}/${name}`);
  if (old === undefined || parent.children.has(name)) return;
  writer.gone.clear();
  bringBack(writer, parent, name, old);
}

function rename(writer: ModelWriter, from: Place, to: Place): void {
  const entry = from.parent.children.get(from.name);
  if (entry === undefined || to.parent.children.has(to.name)) return;
  if (depthOf(entry) > 1 || (isDirectory(entry) && holds(entry, to.parent))) return;
  writer.gone.clear();
  writer.remove(from.parent, from.name);
  writer.putEntry(to.parent, to.name, entry);
}

function applyStep(writer: ModelWriter, step: Step): void {
  const all = places(writer.root);
  const from = all[step.from % all.length]!;
  const { parent, name } = from;
  const entry = parent.children.get(name);
  if (step.kind <= 2) writer.putEntry(parent, name, { content: step.value });
  else if (step.kind <= 4 && !isDirectory(entry)) writer.makeDirectory(parent, name);
  else if (step.kind === 5 && !entry) writer.put(parent.number, name, { type: 'partial' });
  else if (step.kind <= 7) remove(writer, from);
  else if (step.kind === 8) bringBackTo(writer, from);
  else rename(writer, from, all[step.to % all.length]!);
}

async function show(state: ArchiveState, commit: number): Promise<Map<string, string>> {
  const shown = new Map<string, string>();
  const walk = async (place: DirectoryPlace, path: string): Promise<void> => {
    for await (const { name, row } of state.list(place, commit)) {
      const here = path + new TextDecoder().decode(name);
      const { directoryNumber, since } = row;
      shown.set(here, row.type === 'directory' ? `directory ${directoryNumber}` : `file ${row.uid}`);
      if (directoryNumber !== undefined && since !== undefined) await walk({ directoryNumber, since }, `${here}/`);
    }
  };
  await walk(rootDirectory, '');
  return shown;
}

function describe(found: Awaited<ReturnType<ArchiveState['lookup']>>): string | undefined {
  if (found?.entry === undefined) return undefined;
  const { row } = found.entry;
  if (row.type !== 'directory') return `file ${row.uid}`;
  assert.equal(found.own?.row.directoryNumber, row.directoryNumber);
  assert.equal(found.own?.row.since, row.since);
  return `directory ${row.directoryNumber}`;
}

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  kind: fc.nat({ max: 11 }),
  from: fc.nat({ max: 50 }),
  to: fc.nat({ max: 50 }),
  value: fc.nat({ max: 9 }),
  isCheckpoint: fc.nat({ max: 5 }).map((die) => die === 0),
});

test('3,000 random histories of directories created, deleted, brought back and renamed look up exactly at every commit', async () => {
  const property = fc.asyncProperty(fc.array(stepArbitrary, { minLength: 3, maxLength: 25 }), async (steps) => {
    const writer = new ModelWriter();
    const records = createMemoryRecords();
    let checkpoint: { root: Reference; checkpoint: CommitFacts } | undefined;
    let since = 0;
    for (const step of steps) {
      applyStep(writer, step);
      writer.finish();
      if (!step.isCheckpoint) continue;
      const puts = new Map(
        writer.commits.slice(since).flatMap(({ puts }) => puts.map((put) => [put.key.toHex(), put])),
      );
      const sorted = [...puts.values()].sort((a, b) => compareBytes(a.key, b.key));
      checkpoint = {
        root: await updateTree(checkpoint?.root, sorted, records),
        checkpoint: writer.commits[writer.commits.length - 1]!,
      };
      since = writer.commits.length;
    }
    const state = new ArchiveState(new NodeCache(records.load), checkpoint);
    for (const commit of writer.commits.slice(since)) state.apply(commit);
    const paths = new Set(writer.history.flatMap((shown) => [...shown.keys()]));
    for (const [commit, expected] of writer.history.entries()) {
      assert.deepEqual(await show(state, commit), expected);
      for (const path of paths) {
        const found = await state.lookup(path.split('/').map(bytes), commit);
        assert.equal(describe(found), expected.get(path), `${path} at ${commit}`);
      }
    }
    await checkHistories(state, writer.history, paths);
  });
  await fc.assert(property, { numRuns: 3000 });
});

async function checkHistories(state: ArchiveState, history: Map<string, string>[], paths: ReadonlySet<string>) {
  for (const path of paths) {
    const versions = await state.history(path.split('/').map(bytes));
    for (const [commit, shown] of history.entries()) {
      const version = versions.filter(({ from, until }) => from <= commit && commit < until);
      assert.ok(version.length <= 1);
      assert.equal(describe(version[0] && { entry: version[0], own: version[0] }), shown.get(path));
    }
  }
}

test('a commit is found by its time as corrected, and numbers order what times do not', async () => {
  const commit = (number: number, seconds: number, rest: Partial<CommitFacts> = {}): CommitFacts => ({
    number,
    sha256: new Uint8Array(32).fill(number),
    time: at(seconds),
    corrections: [],
    puts: number === 1 ? [] : [commitRow(number - 1, seconds - 10)],
    ...rest,
  });
  const commitRow = (number: number, seconds: number) => ({
    key: commitKey(number),
    value: encodeCommitRow({ time: at(seconds), sha256: new Uint8Array(32).fill(number) }),
  });
  const state = new ArchiveState(new NodeCache(createMemoryRecords().load));
  for (const number of [1, 2, 3]) state.apply(commit(number, number * 10));
  assert.deepEqual(await Promise.all([9, 10, 29, 30, 99].map((time) => state.commitAt(at(time)))), [
    undefined,
    1,
    2,
    3,
    3,
  ]);
  state.apply(commit(4, 5, { corrections: [{ commit: 2, time: at(1000) }], puts: [commitRow(3, 30)] }));
  assert.deepEqual(await Promise.all([4, 5, 29, 999].map((time) => state.commitAt(at(time)))), [undefined, 4, 4, 4]);
  state.apply(commit(5, 2000, { puts: [commitRow(4, 5)], corrections: [{ commit: 4, time: at(40) }] }));
  assert.deepEqual(await Promise.all([9, 29, 39, 40, 1999].map((time) => state.commitAt(at(time)))), [
    undefined,
    1,
    3,
    4,
    4,
  ]);
  assert.throws(() => state.apply(commit(7, 1)), { code: 'archive.corrupt' });
});

test('bytes and lists that moved are found where they lie now, and a move to other bytes does not count', async () => {
  const piece = { ordinal: 7, offset: 100, length: 20, sha256: new Uint8Array(32).fill(1) };
  const moved = { ...piece, ordinal: 90, offset: 0 };
  const moveTo = (ordinal: number, offset: number, target: typeof piece): MapEntry => {
    const writer = new ByteWriter();
    writeExtent(writer, target);
    return { key: moveKey(ordinal, offset), value: writer.written() };
  };
  const state = new ArchiveState(new NodeCache(createMemoryRecords().load));
  const puts = [moveTo(7, 100, moved), moveTo(8, 0, { ...moved, ordinal: 91 })];
  state.apply({ number: 1, sha256: new Uint8Array(32), time: at(0), corrections: [], puts });
  assert.deepEqual(await state.resolveExtent(piece), moved);
  assert.deepEqual(await state.resolveExtent({ ...piece, offset: 101 }), { ...piece, offset: 101 });
  assert.deepEqual(await state.resolveList({ ordinal: 8, sha256: piece.sha256 }), {
    ordinal: 91,
    sha256: piece.sha256,
  });
  for (const other of [
    { ...piece, length: 19 },
    { ...piece, sha256: new Uint8Array(32) },
  ]) {
    assert.deepEqual(await state.resolveExtent(other), other);
  }
});
