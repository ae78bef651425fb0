import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sha256 } from '../format/sealing.ts';
import { ArchiveWriter } from './write-archive.ts';
import * as rows from './write-rows.ts';
import { hole, rowKey, type WrittenExtent } from './write-structures.ts';

/** A directory of the test's own, its path with a space; gone when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast recover '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes that do not compress and follow from a name. */
export function noise(name: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 32) parts.push(sha256(Buffer.from(`${name} ${at}`)));
  return Buffer.concat(parts).subarray(0, length);
}

export const oddName = Buffer.from([0x6f, 0xff, 0xfe, 0x0a, 0x22, 0x5c, 0x20, 0x3d]);

/** What the sample holds at its newest commit: content by path below the target, as latin1. */
export type Sample = { readonly writer: ArchiveWriter; readonly contents: ReadonlyMap<string, Buffer> };

const first = { parent: 0, name: 'volume-1', number: 1, commit: 1 };

/**
 * An archive with one volume at `/`, one at `/mnt/data`, two checkpoints and commits behind them.
 *
 * Commit 1: names of all kinds. Commit 2 (checkpoint): a change. Commit 3: a rename of a directory. Commit 4: moves, a
 * deletion. Commit 5 (checkpoint). Commit 6: a second version again.
 */
export function makeSample(): Sample {
  const writer = new ArchiveWriter();
  const contents = new Map<string, Buffer>();
  const [small, tiny] = writer.bundle([Buffer.from('small file\n'), Buffer.from('t')]);
  const big = [noise('a', 40_000), noise('b', 30_000), Buffer.alloc(20_000)].map((piece) => writer.block(piece));
  const listed = Array.from({ length: 11 }, (_, index) => writer.block(noise(`l${index}`, 5_000 + index)));
  const sparse = [hole(1_000_000), writer.block(noise('s', 4096)), hole(2_000_000)];
  writer.commit([
    ...rows.directory(first, { mountedAt: '/' }),
    ...rows.directory({ parent: 0, name: 'volume-2', number: 2, commit: 1 }, { mountedAt: '/mnt/data' }),
    ...rows.directory({ parent: 1, name: 'home', number: 3, commit: 1 }, { mode: 0o750, modified: [-1, 500_000_000] }),
    { key: rowKey(3, 'small', 1), value: rows.fileRow({ extents: [small!] }) },
    { key: rowKey(3, 'tiny', 1), value: rows.fileRow({ extents: [tiny!] }, { mode: 0o6755, modified: [-100, 1] }) },
    { key: rowKey(3, 'empty', 1), value: rows.fileRow({ extents: [] }, { modified: [1_700_000_000, 0] }) },
    { key: rowKey(3, 'big', 1), value: rows.fileRow({ extents: big }) },
    { key: rowKey(3, 'listed', 1), value: rows.fileRow({ extents: listed, list: writer.list(listed, 3) }) },
    { key: rowKey(3, 'sparse', 1), value: rows.fileRow({ extents: sparse }) },
    { key: rowKey(3, oddName, 1), value: rows.fileRow({ extents: [small!] }) },
    { key: rowKey(3, 'link', 1), value: rows.symlinkRow(Buffer.from([0x2e, 0x2e, 0x2f, 0xff])) },
    { key: rowKey(3, 'hard-1', 1), value: rows.fileRow({ extents: [big[0]!] }, { linkGroup: 7 }) },
    { key: rowKey(2, 'hard-2', 1), value: rows.fileRow({ extents: [big[0]!] }, { linkGroup: 7 }) },
    { key: rowKey(2, 'hard-3', 1), value: rows.fileRow({ extents: [big[1]!] }, { linkGroup: 7 }) },
    { key: rowKey(3, 'fifo', 1), value: rows.specialRow(4) },
    { key: rowKey(3, 'socket', 1), value: rows.specialRow(5) },
    { key: rowKey(3, 'gone', 1), value: rows.fileRow({ extents: [small!] }) },
    { key: rowKey(3, 'growing', 1), value: Buffer.concat([Buffer.of(3, 1, 9)]) },
    { key: rowKey(3, 'changes', 1), value: rows.fileRow({ extents: [tiny!] }) },
  ]);
  writer.commit([{ key: rowKey(3, 'changes', 2), value: rows.fileRow({ extents: [small!] }) }], { checkpoint: true });
  renameDirectory(writer);
  moveAndDelete(writer, big[0]!);
  writer.commit([], { checkpoint: true });
  writer.commit([{ key: rowKey(3, 'changes', 6), value: rows.fileRow({ extents: [big[1]!] }) }]);
  const pieces: Record<string, readonly Buffer[]> = {
    'home/small': [Buffer.from('small file\n')],
    'home/tiny': [Buffer.from('t')],
    'home/empty': [],
    'home/big': [noise('a', 40_000), noise('b', 30_000), Buffer.alloc(20_000)],
    'home/listed': listed.map((_, index) => noise(`l${index}`, 5_000 + index)),
    'home/sparse': [Buffer.alloc(1_000_000), noise('s', 4096), Buffer.alloc(2_000_000)],
    [`home/${oddName.toString('latin1')}`]: [Buffer.from('small file\n')],
    'home/hard-1': [noise('a', 40_000)],
    'mnt/data/hard-2': [noise('a', 40_000)],
    'mnt/data/hard-3': [noise('b', 30_000)],
    'home/changes': [noise('b', 30_000)],
    'new place/inside': [Buffer.from('t')],
  };
  for (const [path, parts] of Object.entries(pieces)) contents.set(path, Buffer.concat(parts));
  return { writer, contents };
}

/** Directory 4 stands at `old place` from commit 3 on, and at `new place` from 4 on; its rows stay. */
function renameDirectory(writer: ArchiveWriter): void {
  const tiny = writer.block(Buffer.from('t'));
  writer.commit([
    ...rows.directory({ parent: 1, name: 'old place', number: 4, commit: 3 }),
    { key: rowKey(4, 'inside', 3), value: rows.fileRow({ extents: [tiny] }) },
  ]);
}

function moveAndDelete(writer: ArchiveWriter, moved: WrittenExtent): void {
  const again = writer.block(noise('a', 40_000));
  const key = Buffer.alloc(11);
  key.writeUInt8(3);
  key.writeUInt32BE(moved.ordinal, 3);
  const target = Buffer.concat([
    Buffer.from([again.ordinal, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.alloc(4),
    again.sha256,
  ]);
  target.writeUInt32LE(again.length, 10);
  writer.commit([
    { key, value: target },
    { key: rowKey(1, 'old place', 4), value: rows.absentRow() },
    { key: rowKey(1, 'new place', 4), value: rows.directoryEntry(4, 3) },
    { key: rowKey(4, '', 4), value: rows.ownRow(1, 'new place', { since: 3 }) },
    { key: rowKey(3, 'gone', 4), value: rows.absentRow() },
  ]);
}
