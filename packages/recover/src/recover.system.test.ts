import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listArchive, recover, RecoverError, type RecoverReport } from './index.ts';
import { assertFiles, readFiles } from './testing/compare-restored.ts';
import { makeSample, oddName, temporaryFolder } from './testing/sample-archive.ts';
import { ArchiveWriter } from './testing/write-archive.ts';
import * as rows from './testing/write-rows.ts';
import { rowKey } from './testing/write-structures.ts';

const asRoot = process.getuid?.() === 0;

function refusal(code: string) {
  return (error: unknown) => error instanceof RecoverError && error.code === code;
}

function codes(report: RecoverReport): readonly string[] {
  return report.findings.filter((finding) => finding.severity !== 'notice').map((finding) => finding.code);
}

test('a key file and a recovery code restore the same, whole and proven', async (t) => {
  const { writer, contents } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  for (const [name, secret] of Object.entries({
    a: { keyFile: writer.keyFile },
    b: { recoveryCode: writer.recoveryCode },
  })) {
    const report = await recover({ folder: join(folder, 'archive'), secret, outDir: join(folder, name) });
    assert.deepEqual(codes(report), []);
    assert.ok(report.complete && report.proven);
    assert.equal(report.headCommit, 6);
    assertFiles(join(folder, name), contents);
  }
});

test('modes, times to the nanosecond and before 1970, links, FIFOs and sockets come back', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const out = join(folder, 'out');
  await recover({ folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, outDir: out });
  const stat = (path: string) => lstatSync(join(out, path), { bigint: true });
  assert.equal(stat('home').mtimeNs, -500_000_000n);
  assert.equal(stat('home/tiny').mtimeNs, -99_999_999_999n);
  assert.equal(stat('home/small').mtimeNs, 1_600_000_000_123_456_789n);
  assert.equal(stat('home/link').mtimeNs, 1_600_000_000_123_456_789n);
  assert.equal(stat('home').mode & 0o7777n, 0o750n);
  assert.equal(stat('home/tiny').mode & 0o7777n, 0o755n, 'setuid and setgid are on request');
  assert.ok(stat('home/fifo').isFIFO() && stat('home/socket').isSocket());
  assert.deepEqual(readlinkSync(join(out, 'home/link'), { encoding: 'buffer' }), Buffer.from([0x2e, 0x2e, 0x2f, 0xff]));
  assert.equal(stat('home/hard-1').ino, stat('mnt/data/hard-2').ino);
  assert.notEqual(stat('home/hard-1').ino, stat('mnt/data/hard-3').ino);
  assert.ok(stat('home/sparse').blocks * 512n < 100_000n, 'holes stay holes');
  if (asRoot) assert.deepEqual([stat('home/small').uid, stat('home/small').gid], [1234n, 2345n]);
  assert.deepEqual(readdirSync(out).sort(), ['home', 'mnt', 'new place']);
});

test('setuid bits are given on request', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const out = join(folder, 'out');
  await recover({
    folder: join(folder, 'archive'),
    secret: { keyFile: writer.keyFile },
    outDir: out,
    setuid: true,
    paths: ['/home/tiny'],
  });
  assert.equal(lstatSync(join(out, 'home/tiny')).mode & 0o7777, 0o6755);
});

test('each commit and each time gives the names of that time', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const request = { folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile } };
  const versions = ['t', 'small file\n', 'small file\n', 'small file\n', 'small file\n'];
  for (const [index, content] of versions.entries()) {
    const out = join(folder, `out ${index}`);
    await recover({ ...request, outDir: out, at: { commit: index + 1 } });
    assert.equal(readFileSync(join(out, 'home/changes'), 'utf8'), content);
    const names = [...readFiles(Buffer.from(out)).keys()];
    assert.equal(names.includes('home/gone'), index < 3);
    assert.equal(names.includes('old place/inside'), index === 2);
    assert.equal(names.includes('new place/inside'), index >= 3);
  }
  const listing = await listArchive({ ...request, at: new Date((1_700_000_000 + 2 * 60 + 59) * 1000) });
  assert.equal(listing.report.commit, 2);
  assert.equal(listing.moments.length, 6);
  assert.equal(listing.report.commitAt, '2023-11-14T22:15:20Z');
  await assert.rejects(listArchive({ ...request, at: new Date(0) }), refusal('time.nothing_then'));
  await assert.rejects(listArchive({ ...request, at: { commit: 7 } }), refusal('time.nothing_then'));
});

test('only what is asked for is restored, and what is not there is named', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const paths = [Buffer.concat([Buffer.from('/home/'), oddName]), '/mnt', '/home/no such'];
  const report = await recover({
    folder: join(folder, 'archive'),
    secret: { keyFile: writer.keyFile },
    outDir: join(folder, 'out'),
    paths,
  });
  assert.deepEqual([...readFiles(Buffer.from(join(folder, 'out'))).keys()].sort(), [
    `home/${oddName.toString('latin1')}`,
    'mnt/data/hard-2',
    'mnt/data/hard-3',
  ]);
  assert.deepEqual(codes(report), ['path.not_found']);
  assert.ok(!report.complete);
});

test('a dry run checks every content and writes nothing', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const before = readdirSync(folder);
  const report = await recover({ folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, dryRun: true });
  assert.deepEqual([report.complete, report.counts.files, report.counts.lostFiles], [true, 11, 0]);
  assert.deepEqual(readdirSync(folder), before);
});

test('a wrong secret, a missing folder and a target that holds something are refused by name', async (t) => {
  const { writer } = makeSample();
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const archive = join(folder, 'archive');
  const secret = { keyFile: writer.keyFile };
  const otherCode = 'abandon '.repeat(23) + 'art';
  const other = writer.keyFile.replace(/archive .*\n/, `archive ${'0'.repeat(32)}\n`);
  const { readKeyFile } = await import('./format/secret.ts');
  assert.throws(() => readKeyFile(other), refusal('secret.invalid'));
  await assert.rejects(
    recover({ folder: archive, secret: { recoveryCode: otherCode }, outDir: join(folder, 'x') }),
    refusal('secret.opens_nothing'),
  );
  await assert.rejects(
    recover({ folder: join(folder, 'no'), secret, outDir: join(folder, 'x') }),
    refusal('folder.not_found'),
  );
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full', 'precious'), 'x');
  await assert.rejects(recover({ folder: archive, secret, outDir: join(folder, 'full') }), refusal('target.not_empty'));
  await assert.rejects(
    recover({ folder: archive, secret, outDir: join(folder, 'full', 'precious') }),
    refusal('target.unusable'),
  );
  assert.deepEqual(readdirSync(join(folder, 'full')), ['precious']);
  rmSync(join(archive, 'keys'), { recursive: true });
  assert.ok(
    (await recover({ folder: archive, secret, outDir: join(folder, 'y') })).complete,
    'segments hold header and keyrings too',
  );
});

test('commits of a second writer and of a second epoch are followed', async (t) => {
  const { writer, contents } = makeSample();
  writer.addDevice(7, { introduced: true });
  writer.commit([
    { key: rowKey(3, 'changes', 7), value: rows.fileRow({ extents: [writer.block(Buffer.from('seven'), 1)] }) },
  ]);
  writer.addEpoch();
  writer.commit(
    [{ key: rowKey(3, 'changes', 8), value: rows.fileRow({ extents: [writer.block(Buffer.from('eight'), 1)] }) }],
    { checkpoint: true },
  );
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  for (const [name, secret] of Object.entries({
    a: { keyFile: writer.keyFile },
    b: { recoveryCode: writer.recoveryCode },
  })) {
    const report = await recover({ folder: join(folder, 'archive'), secret, outDir: join(folder, name) });
    assert.deepEqual(codes(report), []);
    assert.equal(report.keyringNumber, 3);
    assertFiles(join(folder, name), new Map([...contents, ['home/changes', Buffer.from('eight')]]));
  }
});

test('a key file of an old epoch restores what it opens and says what it does not', async (t) => {
  const { writer, contents } = makeSample();
  const old = writer.keyFile;
  writer.addEpoch();
  writer.commit([
    { key: rowKey(3, 'changes', 7), value: rows.fileRow({ extents: [writer.block(Buffer.from('new'))] }) },
  ]);
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const report = await recover({
    folder: join(folder, 'archive'),
    secret: { keyFile: old },
    outDir: join(folder, 'out'),
  });
  assert.equal(report.headCommit, 6);
  assert.ok(codes(report).includes('commit.locked'));
  assertFiles(join(folder, 'out'), contents);
});

test('an empty archive with one commit restores to nothing', async (t) => {
  const writer = new ArchiveWriter();
  writer.commit([], { checkpoint: true });
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const report = await recover({
    folder: join(folder, 'archive'),
    secret: { keyFile: writer.keyFile },
    outDir: join(folder, 'out'),
  });
  assert.deepEqual([report.complete, report.counts.directories], [true, 0]);
});
