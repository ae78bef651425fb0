import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { recover } from './index.ts';
import { assertFiles } from './testing/compare-restored.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import { ArchiveWriter } from './testing/write-archive.ts';
import * as rows from './testing/write-rows.ts';
import { rowKey } from './testing/write-structures.ts';

const main = join(import.meta.dirname, 'main.ts');
const asRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const volume = { parent: 0, name: 'v', number: 1, commit: 1 };

function run(args: readonly string[], { input = '' }: { readonly input?: string } = {}) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', input, timeout: 60_000 });
}

/** Runs, as another user, a copy of the program and of Node: only root may read a checkout below its home. */
function runAsNobody(folder: string, args: readonly string[]) {
  const copy = join(folder, 'program');
  const packages = join(import.meta.dirname, '../../../node_modules');
  cpSync(join(import.meta.dirname, '..'), copy, { recursive: true });
  for (const scope of ['@scure', '@noble'])
    cpSync(join(packages, scope), join(copy, 'node_modules', scope), { recursive: true });
  copyFileSync(process.execPath, join(copy, 'node'));
  spawnSync('chmod', ['-R', 'a+rX', copy]);
  return spawnSync(join(copy, 'node'), [join(copy, 'src/main.ts'), ...args], {
    encoding: 'utf8',
    cwd: folder,
    timeout: 60_000,
    uid: NOBODY,
    gid: NOBODY,
  });
}

function savedSample(t: TestContext) {
  const sample = makeSample();
  const folder = temporaryFolder(t);
  sample.writer.save(join(folder, 'archive'));
  writeFileSync(join(folder, 'key'), sample.writer.keyFile);
  return { ...sample, folder, archive: join(folder, 'archive'), key: join(folder, 'key'), out: join(folder, 'out') };
}

/** Reads a file far below by stepping down with a shell, since no system call takes its whole path. */
function shellBelow(folder: string, names: readonly string[], script: string): string {
  const steps = names.map((name) => `cd -P ${name}`).join('\n');
  return spawnSync('sh', ['-e'], { cwd: folder, encoding: 'utf8', input: `${steps}\n${script}\n` }).stdout;
}

test('directories 300 deep with a path of 18,000 bytes are restored with their times and modes', async (t) => {
  const writer = new ArchiveWriter();
  writer.nodeEntries = 50;
  const names = Array.from({ length: 300 }, (_, index) => `d${index}-${'x'.repeat(55)}`);
  writer.commit(
    [
      ...rows.directory(volume, { mountedAt: '/' }),
      ...names.flatMap((name, index) =>
        rows.directory(
          { parent: index + 1, name, number: index + 2, commit: 1 },
          { mode: 0o555, modified: [1_000 + index, 7] },
        ),
      ),
      { key: rowKey(301, 'bottom', 1), value: rows.fileRow({ extents: [writer.block(Buffer.from('deep'))] }) },
      { key: rowKey(150, 'half way', 1), value: rows.fileRow({ extents: [writer.block(Buffer.from('half'))] }) },
    ],
    { checkpoint: true },
  );
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const out = join(folder, 'out');
  const report = await recover({ folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, outDir: out });
  assert.deepEqual(
    report.findings.filter((finding) => finding.code !== 'owner.not_set'),
    [],
  );
  assert.equal(shellBelow(out, names, 'cat bottom; stat -c " %a %.9Y" .'), 'deep 555 1299.000000007\n');
  assert.equal(
    shellBelow(out, names.slice(0, 149), 'cat "half way"; stat -c " %a %.9Y" .'),
    'half 555 1148.000000007\n',
  );
  assert.equal(shellBelow(out, [], 'stat -c "%a %.9Y" d0-*'), '555 1000.000000007\n');
  spawnSync('chmod', ['-R', 'u+w', out]);
});

test(
  'extended attributes with odd names and values come back, and security attributes on request only',
  { skip: !existsSync('/usr/bin/getfattr') && 'needs getfattr' },
  async (t) => {
    const writer = new ArchiveWriter();
    const xattrs = {
      'user.a=b\\"c': Buffer.from([0, 10, 255, 34]),
      'user.empty': Buffer.alloc(0),
      'user.text': Buffer.from('x'.repeat(200)),
    };
    const file = (name: string, more: Readonly<Record<string, Buffer>>) => ({
      key: rowKey(1, name, 1),
      value: rows.fileRow({ extents: [] }, { mode: 0o444, xattrs: { ...more } }),
    });
    writer.commit([
      ...rows.directory(volume, { mountedAt: '/' }),
      ...rows.directory(
        { parent: 1, name: 'dir\n\\=', number: 2, commit: 1 },
        { xattrs: { 'user.d': Buffer.from('1') } },
      ),
      file('odd\n\\ =name', xattrs),
      file('capable', { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') }),
    ]);
    const folder = temporaryFolder(t);
    writer.save(join(folder, 'archive'));
    const request = { folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile } };
    const report = await recover({ ...request, outDir: join(folder, 'out') });
    const read = (path: string, name: string) =>
      spawnSync('getfattr', ['-h', '-n', name, '-e', 'hex', '--absolute-names', '--only-values', path]);
    const out = join(folder, 'out');
    for (const [name, value] of Object.entries(xattrs))
      assert.deepEqual(read(join(out, 'odd\n\\ =name'), name).stdout, value, name);
    assert.equal(read(join(out, 'dir\n\\='), 'user.d').stdout.toString(), '1');
    assert.equal(lstatSync(join(out, 'odd\n\\ =name')).mode & 0o777, 0o444);
    assert.ok(report.findings.some((finding) => finding.code === 'xattrs.on_request'));
    assert.ok(!report.findings.some((finding) => finding.code === 'xattrs.not_set'));
    assert.equal(read(join(out, 'capable'), 'security.capability').stdout.length, 0);
    if (!asRoot) return;
    await recover({ ...request, outDir: join(folder, 'with'), setuid: true });
    assert.equal(read(join(folder, 'with', 'capable'), 'security.capability').stdout.length, 20);
  },
);

test('the program restores, lists and checks, and its exit code tells how it went', (t) => {
  const { archive, contents, folder, key, out, writer } = savedSample(t);
  const first = run([archive, '--key', key, '--to', out]);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, /head is commit 6/);
  assertFiles(out, contents);
  const code = run([archive, '--recovery-code-file', '-', '--list', '--json', '--at', 'commit:1'], {
    input: `${writer.recoveryCode}\n`,
  });
  assert.equal(code.status, 0, code.stderr);
  const lines = code.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly path?: string; readonly headCommit?: number });
  assert.ok(lines.some((line) => line.path === '/home/gone') && lines.at(-1)?.headCommit === 6);
  assert.equal(run([archive, '--key', key, '--dry-run', '--json']).status, 0);
  const statuses = [
    [run([archive, '--key', key, '--to', out]).status, 6],
    [run([archive, '--key', key]).status, 2],
    [run([archive, '--to', out]).status, 2],
    [run([archive, '--key', key, '--no-such', '--to', out]).status, 2],
    [run([archive, '--key', key, '--list', '--at', 'yesterday']).status, 2],
    [run([archive, '--key', key, '--list', '--at', '1999-01-01']).status, 4],
    [run([join(folder, 'none'), '--key', key, '--list']).status, 4],
    [run([archive, '--recovery-code-file', '-', '--list'], { input: 'abandon '.repeat(23) + 'art' }).status, 2],
    [run([archive, '--key', key, '--dry-run', '--path', '/none']).status, 3],
  ];
  for (const [status, expected] of statuses) assert.equal(status, expected);
});

test(
  'an ordinary user restores everything but owners and devices',
  { skip: !asRoot && 'needs root to become another user' },
  (t) => {
    const { archive, contents, folder, key } = savedSample(t);
    const home = join(folder, 'nobody');
    for (const path of [folder, archive, join(archive, 'keys'), join(archive, 'segments')]) chmodSync(path, 0o755);
    chmodSync(key, 0o644);
    mkdirSync(home);
    chownSync(home, NOBODY, NOBODY);
    const done = runAsNobody(folder, [archive, '--key', key, '--to', join(home, 'out'), '--json']);
    assert.equal(done.status, 0, done.error?.message ?? done.stderr);
    const report = JSON.parse(done.stdout) as { readonly findingCounts: Readonly<Record<string, number>> };
    assert.equal(report.findingCounts['owner.not_set'], 1);
    assert.equal(report.findingCounts['time.rounded'], undefined);
    assertFiles(join(home, 'out'), contents);
    const small = lstatSync(join(home, 'out/home/small'), { bigint: true });
    assert.deepEqual([small.uid, small.mtimeNs], [BigInt(NOBODY), 1_600_000_000_123_456_789n]);
    assert.deepEqual(readdirSync(join(home, 'out')).sort(), ['home', 'mnt', 'new place']);
  },
);

test('restoring makes no network connection', { skip: !existsSync('/usr/bin/strace') && 'needs strace' }, (t) => {
  const { archive, folder, key, out } = savedSample(t);
  const trace = join(folder, 'trace');
  const args = [
    '-f',
    '-qq',
    '-e',
    'trace=connect,sendto,sendmsg',
    '-o',
    trace,
    process.execPath,
    main,
    archive,
    '--key',
    key,
    '--to',
    out,
  ];
  const done = spawnSync('strace', args, { encoding: 'utf8', timeout: 120_000 });
  if (done.status !== 0 && /ptrace|Operation not permitted/.test(done.stderr))
    return t.skip('strace may not trace here');
  assert.equal(done.status, 0, done.stderr);
  const network = spawnSync('grep', ['-E', 'AF_INET|AF_UNIX|AF_NETLINK', trace], { encoding: 'utf8' });
  assert.equal(network.stdout, '');
});
