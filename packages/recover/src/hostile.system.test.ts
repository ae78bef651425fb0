import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { listArchive, recover, RecoverError, type RecoverReport } from './index.ts';
import { assertFiles, readFiles } from './testing/compare-restored.ts';
import { makeSample, noise, temporaryFolder } from './testing/sample-archive.ts';
import { ArchiveWriter } from './testing/write-archive.ts';
import * as rows from './testing/write-rows.ts';
import { hole, rowKey, u16, u32 } from './testing/write-structures.ts';

const volume = { parent: 0, name: 'v', number: 1, commit: 1 };

async function restored(
  t: TestContext,
  writer: ArchiveWriter,
): Promise<{ readonly report: RecoverReport; readonly out: string }> {
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const out = join(folder, 'out');
  return {
    report: await recover({ folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, outDir: out }),
    out,
  };
}

const losses = (report: RecoverReport) =>
  report.findings.filter((finding) => finding.severity === 'loss').map((finding) => finding.code);

test('a directory inside itself is entered once and named', async (t) => {
  const writer = new ArchiveWriter();
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    { key: rowKey(1, 'again', 1), value: rows.directoryEntry(1, 1) },
    { key: rowKey(1, 'file', 1), value: rows.fileRow({ extents: [writer.block(Buffer.from('x'))] }) },
  ]);
  const { report, out } = await restored(t, writer);
  assert.deepEqual(losses(report), ['directory.twice']);
  assertFiles(out, new Map([['file', Buffer.from('x')]]));
});

test('names that would lead elsewhere and rows that are none are named, and the rest is restored', async (t) => {
  const writer = new ArchiveWriter();
  const x = rows.fileRow({ extents: [writer.block(Buffer.from('x'))] });
  const bad = ['..', '.', 'a/b', '/etc/passwd'].map((name) => ({ key: rowKey(1, name, 1), value: x }));
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    ...bad,
    { key: rowKey(1, 'odd type', 1), value: Buffer.of(3, 1, 99) },
    { key: rowKey(1, 'short', 1), value: Buffer.of(3) },
    { key: Buffer.concat([rowKey(1, 'x', 1), Buffer.of(1)]), value: x },
    { key: rowKey(1, 'n'.repeat(300), 1), value: x },
    { key: rowKey(1, 'good', 1), value: x },
  ]);
  const { report, out } = await restored(t, writer);
  assert.deepEqual(losses(report).sort(), [
    'row.bad_key',
    'row.bad_key',
    'row.bad_key',
    'row.bad_key',
    'row.bad_key',
    'row.unreadable',
    'row.unreadable',
    'target.refused',
  ]);
  assertFiles(out, new Map([['good', Buffer.from('x')]]));
});

test('a symbolic link where a volume is mounted is never followed', async (t) => {
  const writer = new ArchiveWriter();
  const elsewhere = temporaryFolder(t);
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    ...rows.directory({ parent: 0, name: 'w', number: 2, commit: 1 }, { mountedAt: '/home/deep' }),
    ...rows.directory({ parent: 0, name: 'up', number: 3, commit: 1 }, { mountedAt: '/../../outside' }),
    { key: rowKey(1, 'home', 1), value: rows.symlinkRow(Buffer.from(elsewhere)) },
    { key: rowKey(2, 'file', 1), value: rows.fileRow({ extents: [writer.block(Buffer.from('x'))] }) },
    { key: rowKey(3, 'file', 1), value: rows.fileRow({ extents: [writer.block(Buffer.from('y'))] }) },
  ]);
  const { report, out } = await restored(t, writer);
  assert.ok(losses(report).includes('mount.hides'));
  assert.equal(readFiles(Buffer.from(elsewhere)).size, 0);
  assertFiles(
    out,
    new Map([
      ['home/deep/file', Buffer.from('x')],
      ['up/file', Buffer.from('y')],
    ]),
  );
});

test('contents whose pieces do not hold together are lost, and none is written', async (t) => {
  const writer = new ArchiveWriter();
  const [a, b] = [writer.block(noise('a', 5_000)), writer.block(noise('b', 5_000))];
  const swapped = rows.fileRow({ extents: [a, b] });
  const at = swapped.indexOf(a.sha256);
  const list = writer.list([a, b], 5);
  const cases: Record<string, Buffer> = {
    wrongHash: Buffer.concat([swapped.subarray(0, -1), Buffer.of(swapped[swapped.length - 1]! ^ 1)]),
    wrongPiece: Buffer.concat([swapped.subarray(0, at), Buffer.alloc(32, 9), swapped.subarray(at + 32)]),
    beyondTheRecord: rows.fileRow({ extents: [{ ...a, offset: 1 }] }),
    noRecord: rows.fileRow({ extents: [{ ...a, ordinal: 999_999 }] }),
    aTree: rows.fileRow({ extents: [{ ...a, ordinal: 1 }] }),
    listTooShort: rows.fileRow({ extents: [a, b, a], list }),
    listTooLong: rows.fileRow({ extents: [a], list }),
    listOfAnotherLevel: rows.fileRow({ extents: [a, b], list: { ...list, level: 1 } }),
    listIsABlock: rows.fileRow({
      extents: [a, b],
      list: { level: 0, reference: Buffer.concat([Buffer.of(a.ordinal, 0, 0, 0, 0, 0), a.sha256]) },
    }),
  };
  const good: Record<string, Buffer> = {
    pieces: swapped,
    list: rows.fileRow({ extents: [a, b], list }),
    part: rows.fileRow({ extents: [{ ...a, ...part(noise('a', 5_000), 10, 20) }] }),
  };
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    ...Object.entries({ ...cases, ...good }).map(([name, value]) => ({ key: rowKey(1, name, 1), value })),
  ]);
  const { report, out } = await restored(t, writer);
  assert.equal(report.counts.lostFiles, Object.keys(cases).length);
  const both = Buffer.concat([noise('a', 5_000), noise('b', 5_000)]);
  assertFiles(
    out,
    new Map([
      ['pieces', both],
      ['list', both],
      ['part', noise('a', 5_000).subarray(10, 30)],
    ]),
  );
});

function part(bytes: Buffer, offset: number, length: number) {
  const { sha256 } = writerHash(bytes.subarray(offset, offset + length));
  return { offset, length, sha256 };
}

function writerHash(bytes: Buffer) {
  return new ArchiveWriter().block(bytes);
}

test('a file of holes longer than any disk is refused by the system and named', async (t) => {
  const writer = new ArchiveWriter();
  const holes = Array.from({ length: 300 }, () => hole(2 ** 31));
  const lists = Array.from({ length: 20 }, () => holes).flat();
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    { key: rowKey(1, 'huge', 1), value: rows.fileRow({ extents: lists, list: writer.list(lists, 1_424) }) },
    { key: rowKey(1, 'next', 1), value: rows.fileRow({ extents: [] }) },
  ]);
  const { report, out } = await restored(t, writer);
  const names = [
    ...(await listArchive({ folder: join(out, '..', 'archive'), secret: { keyFile: writer.keyFile } })).entries,
  ].map((entry) => entry.path.toString());
  assert.deepEqual(names, ['/huge', '/next']);
  assert.ok(report.complete || losses(report).every((code) => code === 'target.refused'));
});

test('an ordinal that was sealed twice gives each reference its own bytes, and is reported', async (t) => {
  const writer = new ArchiveWriter();
  const first = writer.block(Buffer.from('first'));
  const second = writer.write({
    kind: 3,
    open: Buffer.alloc(0),
    raw: Buffer.from('second'),
    writer: 0,
    ordinal: first.ordinal,
  });
  writer.commit([
    ...rows.directory(volume, { mountedAt: '/' }),
    { key: rowKey(1, 'a', 1), value: rows.fileRow({ extents: [first] }) },
    {
      key: rowKey(1, 'b', 1),
      value: rows.fileRow({ extents: [{ ordinal: first.ordinal, offset: 0, length: 6, sha256: second.rawHash }] }),
    },
  ]);
  const { report, out } = await restored(t, writer);
  assertFiles(
    out,
    new Map([
      ['a', Buffer.from('first')],
      ['b', Buffer.from('second')],
    ]),
  );
  assert.ok(report.findings.some((finding) => finding.code === 'record.other_content'));
});

test('a keyring anybody could have signed does not bring its writer in', async (t) => {
  const { writer, contents } = makeSample();
  const stranger = new ArchiveWriter();
  const genuine = writer.keyring;
  writer.devices.push({ ...stranger.devices[0]!, number: 1, firstCommit: 2 });
  writer.writeKeyring(1, Buffer.alloc(32, 7));
  Object.assign(writer, { keyring: genuine });
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  for (const [name, secret] of Object.entries({
    a: { keyFile: writer.keyFile },
    b: { recoveryCode: writer.recoveryCode },
  })) {
    const report = await recover({ folder: join(folder, 'archive'), secret, outDir: join(folder, name) });
    assert.deepEqual([report.keyringNumber, report.headCommit], [1, 6]);
    assertFiles(join(folder, name), contents);
  }
});

test('a commit that needs a feature is refused, and an unknown draft is', async (t) => {
  const { f } = await import('./testing/write-structures.ts');
  const { writer } = makeSample();
  writer.commit([], { fields: f('4!', Buffer.from('time travel')) });
  await assert.rejects(
    restored(t, writer),
    (error) => error instanceof RecoverError && error.code === 'archive.needs_feature',
  );
  const harmless = makeSample().writer;
  harmless.commit([], { fields: f('5', Buffer.from('time travel')) });
  assert.ok((await restored(t, harmless)).report.complete);
});

test('files that are no segments, and segments that are no files, do not stop the reader', async (t) => {
  const { writer, contents } = makeSample();
  const folder = temporaryFolder(t);
  const archive = join(folder, 'archive');
  writer.save(archive);
  mkdirSync(join(archive, 'segments', '0000000077.seg'));
  writeFileSync(join(archive, 'segments', '0000000078.seg'), '');
  writeFileSync(join(archive, 'segments', '0000000079.seg'), noise('junk', 100_000));
  writeFileSync(join(archive, 'segments', 'readme.txt'), 'x');
  const trailer = Buffer.concat([
    u32(0xffffffff),
    u32(0xffffffff),
    u32(0xffffffff),
    u32(0),
    Buffer.alloc(8),
    Buffer.from('HFSEGEND'),
    u16(0),
  ]);
  writeFileSync(join(archive, 'segments', '0000000080.seg'), trailer);
  writeFileSync(join(archive, 'keys', 'keyring-99.1'), noise('junk', 1_000));
  const report = await recover({ folder: archive, secret: { keyFile: writer.keyFile }, outDir: join(folder, 'out') });
  assert.ok(report.complete && report.proven);
  assertFiles(join(folder, 'out'), contents);
});
