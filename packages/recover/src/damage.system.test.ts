import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { recover, RecoverError, type RecoverReport } from './index.ts';
import { assertFiles, readFiles } from './testing/compare-restored.ts';
import { makeSample, noise, type Sample, temporaryFolder } from './testing/sample-archive.ts';
import { ArchiveWriter, type WrittenRecord } from './testing/write-archive.ts';
import * as rows from './testing/write-rows.ts';
import { rowKey } from './testing/write-structures.ts';

const codesOf = (report: RecoverReport): readonly string[] => report.findings.map((finding) => finding.code);

type Saved = Sample & {
  readonly folder: string;
  readonly archive: string;
  readonly restore: (
    name: string,
    options?: { readonly unproven?: boolean; readonly keepPartial?: boolean },
  ) => Promise<RecoverReport>;
};

function saved(t: TestContext, save: (sample: Sample, archive: string) => void): Saved {
  const sample = makeSample();
  const folder = temporaryFolder(t);
  const archive = join(folder, 'archive');
  save(sample, archive);
  const secret = { keyFile: sample.writer.keyFile };
  return {
    ...sample,
    folder,
    archive,
    restore: (name, options = {}) => recover({ folder: archive, secret, outDir: join(folder, name), ...options }),
  };
}

/** Saves without the records a test picks. */
function savedWithout(
  t: TestContext,
  drop: (record: WrittenRecord, sample: Sample) => boolean,
  options: { readonly sealLast?: boolean } = {},
): Saved {
  return saved(t, (sample, archive) => {
    const records = sample.writer.records.filter((record) => !drop(record, sample));
    sample.writer.save(archive, { ...options, records });
  });
}

const commitOf = (sample: Sample, number: number): WrittenRecord =>
  sample.writer.commits.find((commit) => commit.number === number)!.record;

test('a damaged sector of a sealed segment is repaired in memory, and the folder stays as it is', async (t) => {
  const { archive, contents, folder, restore, writer } = saved(t, (sample, path) =>
    sample.writer.save(path, { sealLast: true, perSegment: 100 }),
  );
  const path = join(archive, 'segments', '0000000001.seg');
  const bytes = readFileSync(path);
  const read = writer.records.find((record) => record.kind === 3 && record.whole.length < 35_000)!;
  noise('damage', 5_000).copy(bytes, bytes.indexOf(read.whole) + 60);
  writeFileSync(path, bytes);
  const report = await restore('out');
  assert.ok(report.complete && report.proven);
  assert.ok(codesOf(report).includes('record.repaired'));
  assertFiles(join(folder, 'out'), contents);
  assert.ok(readFileSync(path).equals(bytes));
});

test('a lost block costs its files, which are named with their record, and no other', async (t) => {
  const { contents, folder, restore } = savedWithout(
    t,
    (record, { writer }) =>
      record === writer.records.find((one) => one.kind === 3 && one.whole.length > 29_000 && one.whole.length < 36_000),
  );
  const report = await restore('out', { keepPartial: true });
  const lost = report.findings.filter((finding) => finding.severity === 'loss');
  assert.deepEqual(lost.map((finding) => finding.path!.toString()).sort(), [
    '/home/big',
    '/home/changes',
    '/mnt/data/hard-3',
  ]);
  for (const finding of lost) assert.match(finding.where!, /record 0:\d+, in no segment/);
  assert.equal(report.counts.lostFiles, 3);
  const expected = new Map(contents);
  const partial = Buffer.from(contents.get('home/big')!);
  partial.fill(0, 40_000, 70_000);
  for (const path of ['home/big', 'home/changes', 'mnt/data/hard-3']) expected.delete(path);
  assertFiles(join(folder, 'out'), expected.set('home/big.partial', partial));
});

test('a record that its segment lost is read from copies', async (t) => {
  const isTree = (record: WrittenRecord) => record.kind >= 5;
  const { archive, contents, folder, restore, writer } = savedWithout(t, isTree);
  mkdirSync(join(archive, 'copies'), { recursive: true });
  writeFileSync(join(archive, 'copies', '0000000001.seg'), writer.segment(1, writer.records.filter(isTree), true));
  const report = await restore('out');
  assert.ok(report.complete && report.proven);
  assertFiles(join(folder, 'out'), contents);
});

test('without the newest checkpoint the state before its gap is proven, and the rest comes on request', async (t) => {
  const { contents, folder, restore } = savedWithout(t, (record, sample) => record === commitOf(sample, 5));
  const report = await restore('out');
  assert.equal(report.headCommit, 4);
  assert.ok(codesOf(report).includes('commit.beyond_gap') && !report.proven);
  assertFiles(join(folder, 'out'), new Map([...contents, ['home/changes', Buffer.from('small file\n')]]));
  const all = await restore('all', { unproven: true });
  assert.equal(all.headCommit, 6);
  assert.ok(!all.proven);
  assertFiles(join(folder, 'all'), contents);
});

test('a lost leaf of the newest tree is made good from the checkpoint before it', async (t) => {
  const trees = (sample: Sample) => sample.writer.records.filter((record) => record.kind === 6);
  const { contents, folder, restore } = savedWithout(t, (record, sample) => trees(sample).slice(-4).includes(record));
  const report = await restore('out');
  assert.ok(
    codesOf(report).includes('tree.lost') && codesOf(report).includes('state.older_checkpoint') && !report.proven,
  );
  assertFiles(join(folder, 'out'), contents);
});

test('without any commit the loose leaves give what they hold, unproven', async (t) => {
  const { contents, folder, restore } = savedWithout(t, (record) => record.kind === 7);
  const report = await restore('out');
  assert.ok(codesOf(report).includes('state.loose') && !report.proven);
  assertFiles(join(folder, 'out'), new Map([...contents, ['home/changes', Buffer.from('small file\n')]]));
});

test('a directory whose entry is lost with its leaf is put below the root, and a deleted one is not', async (t) => {
  const writer = new ArchiveWriter();
  writer.nodeEntries = 2;
  const file = (directory: number, name: string) => ({
    key: rowKey(directory, name, 1),
    value: rows.fileRow({ extents: [writer.block(Buffer.from(name))] }),
  });
  writer.commit([
    ...rows.directory({ parent: 0, name: 'v', number: 1, commit: 1 }, { mountedAt: '/' }),
    ...rows.directory({ parent: 1, name: 'home', number: 2, commit: 1 }),
    ...rows.directory({ parent: 2, name: 'inner', number: 3, commit: 1 }),
    ...rows.directory({ parent: 1, name: 'old', number: 4, commit: 1 }),
    file(2, 'a'),
    file(3, 'b'),
    file(4, 'c'),
  ]);
  const gone = { key: rowKey(1, 'old', 2), value: rows.absentRow() };
  writer.commit([gone], { checkpoint: true });
  const keys = [...writer.state.values()]
    .map(({ key }) => key)
    .filter((key) => key[0] === 1)
    .sort((a, b) => Buffer.compare(a, b));
  const lostLeaf = keys.findIndex((key) => key.equals(rowKey(1, 'home', 1)));
  const leaves = writer.records.filter((record) => record.kind === 6);
  const folder = temporaryFolder(t);
  const records = writer.records.filter((record) => record.kind !== 7 && record !== leaves[lostLeaf >> 1]);
  writer.save(join(folder, 'archive'), { records });
  const report = await recover({
    folder: join(folder, 'archive'),
    secret: { keyFile: writer.keyFile },
    outDir: join(folder, 'out'),
  });
  assert.ok(codesOf(report).includes('directory.orphan') && !report.proven);
  assertFiles(
    join(folder, 'out'),
    new Map([
      ['lost-directory-2/a', Buffer.from('a')],
      ['lost-directory-2/inner/b', Buffer.from('b')],
    ]),
  );
});

test('nothing but blocks is nothing readable', async (t) => {
  const { restore } = savedWithout(t, (record) => record.kind >= 5);
  await assert.rejects(
    restore('out'),
    (error) => error instanceof RecoverError && error.code === 'archive.nothing_readable',
  );
});

test('a branch of a cloned device is reported and never mixed in', async (t) => {
  const { contents, folder, restore } = saved(t, (sample, archive) => {
    const { writer } = sample;
    const head = writer.commits[writer.commits.length - 1]!;
    const branch = [{ key: rowKey(3, 'from the branch', 6), value: rows.fileRow({ extents: [] }) }];
    writer.commit(branch, { number: 6, previousHash: writer.commits[writer.commits.length - 2]!.hash, at: 1 });
    writer.commits.splice(-2, 2, head);
    writer.addDevice(7, { introduced: true });
    writer.commit([{ key: rowKey(3, 'stale', 7), value: rows.fileRow({ extents: [] }) }], { writer: 0 });
    writer.commits.pop();
    writer.commit([], {});
    writer.save(archive);
  });
  const report = await restore('out');
  assert.equal(report.headCommit, 7);
  assert.deepEqual(codesOf(report).filter((code) => code === 'commit.branch').length, 2);
  assertFiles(join(folder, 'out'), contents);
});

test('a live set tells what was let go from what is lost', async (t) => {
  for (const form of [1, 2] as const) {
    const { restore, writer } = saved(t, (sample, archive) => {
      const blocks = sample.writer.records.filter((record) => record.kind === 3);
      const [lost, letGo] = [blocks[0]!, blocks[1]!];
      sample.writer.live(1, [letGo.ordinal], form);
      sample.writer.save(archive, {
        records: sample.writer.records.filter((record) => record !== lost && record !== letGo),
      });
    });
    const report = await restore('out');
    assert.equal(report.liveSetNumber, 1);
    const [first] = writer.records.filter((record) => record.kind === 3);
    const missing = report.findings.filter((finding) => finding.code === 'records.missing');
    assert.deepEqual(
      missing.map((finding) => finding.records),
      [[`0:${first!.ordinal}`]],
    );
    const big = report.findings.find((finding) => finding.path?.toString() === '/home/big');
    assert.match(big!.where!, /let it go/);
  }
});

test('corrections change the time a commit is found at', async (t) => {
  const { writer } = makeSample();
  const { instant, u64, f, u32, entriesBytes } = await import('./testing/write-structures.ts');
  const head = writer.commits[writer.commits.length - 1]!;
  const { sha256 } = await import('./format/sealing.ts');
  const open = Buffer.concat([f('1!', 7), f('2!', head.hash), f('3!', writer.checkpoint)]);
  const raw = Buffer.concat([
    f('1!', instant(1_800_000_000)),
    f('2', Buffer.concat([u64(3), instant(1_600_000_000)])),
    f('3!', Buffer.concat([u32(1), writer.keyring.hash])),
    f('6!', entriesBytes([])),
  ]);
  assert.ok(sha256(writer.write({ kind: 7, open, raw, writer: 0 }).whole));
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const request = { folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, dryRun: true };
  const report = await recover({ ...request, at: new Date(1_650_000_000_000) });
  assert.deepEqual([report.commit, report.commitAt], [3, '2020-09-13T12:26:40Z']);
});

/** The right content under each name that is there, at some commit: damage may cost names, and never change contents. */
function assertNothingWrong(out: string, versions: ReadonlyMap<string, readonly Buffer[]>): void {
  for (const [path, bytes] of readFiles(Buffer.from(out))) {
    const isRight = versionsAt(path, versions).some((version) => version.equals(bytes));
    assert.ok(isRight, `wrong content under ${path}`);
  }
}

/** What a path may hold. A directory whose entry is lost has a name of its own, and the names in it are as they were. */
function versionsAt(path: string, versions: ReadonlyMap<string, readonly Buffer[]>): readonly Buffer[] {
  const [, inside] = /^lost-directory-\d+(\/[^]*)$/.exec(path) ?? [];
  if (inside === undefined) return versions.get(path) ?? [];
  return [...versions].flatMap(([known, contents]) => (known.endsWith(inside) ? contents : []));
}

type Damage = { readonly file: number; readonly at: number; readonly bits: number; readonly kind: number };

function hurt(bytes: Buffer, damage: Damage): Buffer {
  const at = Math.floor(damage.at * bytes.length);
  if (damage.kind === 0) return bytes.subarray(0, at);
  if (damage.kind === 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + damage.bits))]);
  if (damage.kind === 2) bytes.fill(0, at, Math.min(bytes.length, at + 5_000));
  else if (at < bytes.length) bytes[at]! ^= damage.bits;
  return bytes;
}

const anyDamage = fc.record({
  file: fc.nat(1_000),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  bits: fc.integer({ min: 1, max: 255 }),
  kind: fc.nat(9),
});

test('whatever bytes are hurt, the outcome is the same or a named loss, and no name gets a wrong content', async (t) => {
  const sample = makeSample();
  const folder = temporaryFolder(t);
  const whole = join(folder, 'whole');
  sample.writer.save(whole, { perSegment: 9 });
  const versions = new Map([...sample.contents].map(([path, bytes]) => [path, [bytes]]));
  versions.set('home/changes', [Buffer.from('t'), Buffer.from('small file\n'), noise('b', 30_000)]);
  versions.set('home/gone', [Buffer.from('small file\n')]).set('old place/inside', [Buffer.from('t')]);
  const files = ['keys', 'segments'].flatMap((name) => readdirSync(join(whole, name)).map((file) => join(name, file)));
  await fc.assert(
    fc.asyncProperty(fc.array(anyDamage, { minLength: 1, maxLength: 6 }), fc.boolean(), async (damages, withCode) => {
      const archive = join(folder, 'hurt');
      for (const name of [archive, join(folder, 'out')]) rmSync(name, { recursive: true, force: true });
      for (const name of ['keys', 'segments']) mkdirSync(join(archive, name), { recursive: true });
      for (const file of files) copyFileSync(join(whole, file), join(archive, file));
      for (const damage of damages) {
        const path = join(archive, files[damage.file % files.length]!);
        writeFileSync(path, hurt(readFileSync(path), damage));
      }
      const secret = withCode ? { recoveryCode: sample.writer.recoveryCode } : { keyFile: sample.writer.keyFile };
      try {
        const report = await recover({ folder: archive, secret, outDir: join(folder, 'out') });
        if (report.complete && report.proven && report.headCommit === 6)
          assertFiles(join(folder, 'out'), sample.contents);
        assertNothingWrong(join(folder, 'out'), versions);
      } catch (error) {
        if (!(error instanceof RecoverError)) throw error;
      }
    }),
    { numRuns: 60 },
  );
});
