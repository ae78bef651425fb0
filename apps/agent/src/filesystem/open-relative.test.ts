import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  constants,
  statSync,
  fsyncSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { emptyAttributes, isUnchanged, statAt, statDescriptor } from './attributes.ts';
import { makeDirectory, makeSpecialFile, removeEntry } from './change-entries.ts';
import { asFileError } from './errors.ts';
import { nameBytes } from './file-name.ts';
import {
  closeDescriptor,
  createFile,
  openChild,
  openChildDirectory,
  openDirectory,
  openPlace,
  openRecorded,
  reopen,
  withDescriptor,
} from './open-relative.ts';
import { openTemporaryFolder, temporaryFolder } from './temporary-folder.ts';

const isRoot = process.getuid?.() === 0;

test('no kind of opening follows a symlink, and all open what it stands beside', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, 'content');
  mkdirSync(`${path}/folder`);
  symlinkSync('file', `${path}/to-file`);
  symlinkSync('folder', `${path}/to-folder`);
  symlinkSync('loop', `${path}/loop`);
  for (const name of ['to-file', 'to-folder', 'loop']) {
    assert.throws(() => openChild(fd, nameBytes(name)), { code: 'files.loop' }, name);
    assert.throws(() => openChildDirectory(fd, nameBytes(name)), { code: 'files.not_directory' }, name);
    assert.throws(() => createFile(fd, nameBytes(name), 0o600), { code: 'files.exists' }, name);
  }
  assert.equal(
    withDescriptor(openChild(fd, nameBytes('file')), (file) => readFileSync(file, 'utf8')),
    'content',
  );
  for (const open of [openChild, openChildDirectory, openPlace]) {
    assert.equal(
      withDescriptor(open(fd, nameBytes('folder')), (folder) => statDescriptor(folder).type),
      'directory',
    );
  }
});

test('a path to begin at may lead through links, be relative, and be longer than the kernel takes', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  mkdirSync(`${path}/real`);
  symlinkSync('real', `${path}/link`);
  const real = statAt(fd, nameBytes('real'));
  assert.equal(
    withDescriptor(openDirectory(`${path}/link`), (folder) => statDescriptor(folder).inode),
    real?.inode,
  );
  assert.equal(
    withDescriptor(openDirectory('.'), (folder) => statDescriptor(folder).inode),
    statSync('.', { bigint: true }).ino,
  );
  const component = 'c'.repeat(250);
  let folder = openChildDirectory(fd, nameBytes('real'));
  for (let level = 0; level < 40; level++) {
    makeDirectory(folder, nameBytes(component), 0o700);
    const inner = openChildDirectory(folder, nameBytes(component));
    closeDescriptor(folder);
    folder = inner;
  }
  const { inode } = withDescriptor(folder, (deepest) => statDescriptor(deepest));
  const long = `${path}/real/${Array.from({ length: 40 }, () => component).join('///')}`;
  assert.ok(long.length > 10_000);
  assert.equal(
    withDescriptor(openDirectory(long), (deepest) => statDescriptor(deepest).inode),
    inode,
  );
  assert.throws(() => openDirectory(`${long}/missing`), { code: 'files.not_found' });
  assert.throws(() => openDirectory(`${path}/${'x'.repeat(5000)}`), { code: 'files.name_too_long' });
  assert.throws(() => openDirectory(''), { code: 'files.invalid_name' });
  assert.throws(() => openDirectory(`${path}\0/etc`), { code: 'files.invalid_name' });
});

test('a FIFO or a socket put in the place of a recorded file is not opened and nobody waits', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, 'content');
  const recorded = statAt(fd, nameBytes('file'));
  assert.ok(recorded);
  for (const type of ['fifo', 'socket'] as const) {
    removeEntry(fd, nameBytes('file'));
    makeSpecialFile(fd, nameBytes('file'), 0o600, { type });
    assert.equal(openRecorded(fd, nameBytes('file'), recorded), undefined, type);
    const special = statAt(fd, nameBytes('file'));
    assert.ok(special);
    assert.throws(() => openRecorded(fd, nameBytes('file'), special), { code: 'files.unsupported' });
  }
});

test('a file is opened as recorded, unless another file, folder, link or nothing took its name', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const name = nameBytes('file');
  const fileIs = (content: string) => writeFileSync(`${path}/file`, content);
  fileIs('one');
  const recorded = statAt(fd, name);
  assert.ok(recorded);
  const into = emptyAttributes();
  const same = openRecorded(fd, name, recorded, into);
  assert.ok(same !== undefined);
  assert.ok(isUnchanged(recorded, into));
  closeDescriptor(same);

  fileIs('longer');
  const grown = openRecorded(fd, name, recorded, into);
  assert.ok(grown !== undefined);
  assert.ok(!isUnchanged(recorded, into));
  closeDescriptor(grown);

  renameSync(`${path}/file`, `${path}/elsewhere`);
  assert.equal(openRecorded(fd, name, recorded), undefined);
  fileIs('longer');
  assert.equal(openRecorded(fd, name, recorded), undefined);
  removeEntry(fd, name);
  symlinkSync('elsewhere', `${path}/file`);
  assert.equal(openRecorded(fd, name, recorded), undefined);
  removeEntry(fd, name);
  mkdirSync(`${path}/file`);
  assert.equal(openRecorded(fd, name, recorded), undefined);
  const folder = statAt(fd, name);
  assert.ok(folder);
  const opened = openRecorded(fd, name, folder);
  assert.ok(opened !== undefined);
  closeDescriptor(opened);
});

test('reading what was opened as recorded leaves its access time alone', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, 'content');
  const long = { atime: new Date('2001-01-01'), mtime: new Date() };
  spawnSync('touch', ['-a', '-d', '2001-01-01T00:00:00Z', `${path}/file`]);
  const recorded = statAt(fd, nameBytes('file'));
  assert.equal(recorded?.atimeSeconds, long.atime.getTime() / 1000);
  const file = openRecorded(fd, nameBytes('file'), recorded);
  assert.ok(file !== undefined);
  readSync(file, new Uint8Array(10), 0, 10, 0);
  closeDescriptor(file);
  assert.equal(statAt(fd, nameBytes('file'))?.atimeSeconds, recorded.atimeSeconds);
});

test('a created file is read and written through node:fs, a folder is synced, and a place opened again to write', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  withDescriptor(createFile(fd, nameBytes('new'), 0o640), (file) => {
    writeSync(file, 'abc', 0);
    const back = new Uint8Array(5);
    assert.equal(readSync(file, back, 1, 3, 0), 3);
    assert.equal(Buffer.from(back).toString(), '\0abc\0');
  });
  fsyncSync(fd);
  assert.throws(() => createFile(fd, nameBytes('new'), 0o640), { code: 'files.exists' });
  withDescriptor(openPlace(fd, nameBytes('new')), (place) => {
    assert.throws(() => readSync(place, new Uint8Array(1)), { code: 'EBADF' });
    withDescriptor(reopen(place, constants.O_WRONLY), (file) => writeSync(file, 'X', 0));
  });
  assert.equal(readFileSync(`${path}/new`, 'utf8'), 'Xbc');
});

test('refusals of the operating system are declared errors that name the call, the errno and the entry', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, '');
  const missing = nameBytes('missing \u00e9');
  assert.throws(() => openChild(fd, missing), {
    code: 'files.not_found',
    kind: 'not_found',
    details: { syscall: 'openat', errno: 'ENOENT', name: 'missing \u00e9' },
  });
  assert.throws(() => openChild(fd, Uint8Array.of(0xff)), {
    details: { syscall: 'openat', errno: 'ENOENT', name: '\\xff' },
  });
  assert.throws(() => openChildDirectory(fd, nameBytes('file')), { code: 'files.not_directory', kind: 'conflict' });
  assert.throws(() => makeDirectory(fd, nameBytes('file'), 0o700), { code: 'files.exists' });
  assert.throws(() => removeEntry(fd, missing), { code: 'files.not_found' });
  assert.throws(() => closeDescriptor(987_654), { code: 'files.bad_descriptor' });
  assert.throws(() => openChild(987_654, nameBytes('x')), { code: 'files.bad_descriptor' });
  assert.throws(() => statDescriptor(987_654), { code: 'files.bad_descriptor' });
});

test('a full disk as node:fs reports it is files.disk_full, and a bug is not renamed', (t) => {
  const { fd } = openTemporaryFolder(t);
  const full = openDevice('full');
  let thrown: unknown;
  try {
    writeSync(full, 'x');
  } catch (error) {
    thrown = asFileError(error, nameBytes('report'));
  } finally {
    closeDescriptor(full);
  }
  assert.ok(thrown instanceof CodedError);
  assert.equal(thrown.code, 'files.disk_full');
  assert.equal(thrown.kind, 'exhausted');
  assert.deepEqual(thrown.details, { syscall: 'write', errno: 'ENOSPC', name: 'report' });
  assert.match(String(thrown.cause), /ENOSPC/);
  const bug = new TypeError('a bug');
  assert.equal(asFileError(bug), bug);
  assert.ok(fd >= 0);
});

function openDevice(name: string): number {
  return withDescriptor(openDirectory('/dev'), (folder) => openChild(folder, nameBytes(name), constants.O_WRONLY));
}

test('what permissions forbid is files.permission_denied', { skip: isRoot && 'root may do everything' }, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, '');
  chmodSync(`${path}/file`, 0);
  assert.throws(() => openChild(fd, nameBytes('file')), { code: 'files.permission_denied', kind: 'forbidden' });
});

test('running out of descriptors is files.too_many_open, and closing some goes on', (t) => {
  const path = temporaryFolder(t);
  const index = new URL('index.ts', import.meta.url).href;
  const script = `
    const files = await import(${JSON.stringify(index)});
    const fds = [];
    let code;
    try { for (;;) fds.push(files.openDirectory(${JSON.stringify(path)})); } catch (error) { code = error.code; }
    for (const fd of fds) files.closeDescriptor(fd);
    files.closeDescriptor(files.openDirectory(${JSON.stringify(path)}));
    console.log(code);`;
  const command = `ulimit -n 200 && exec "$0" --input-type=module -e "$1"`;
  const child = spawnSync('/bin/sh', ['-c', command, process.execPath, script], { encoding: 'utf8', timeout: 30_000 });
  assert.equal(child.stdout, 'files.too_many_open\n', child.stderr);
});

test('no descriptor is left open by what fails', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, '');
  writeFileSync(`${path}/other`, '');
  const [recorded, other] = [statAt(fd, nameBytes('file')), statAt(fd, nameBytes('other'))];
  assert.ok(recorded && other);
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 50; i++) {
    assert.equal(openRecorded(fd, nameBytes('other'), recorded), undefined);
    assert.throws(() => openDirectory(`${path}/${'c/'.repeat(3000)}`));
    assert.throws(() =>
      withDescriptor(openChild(fd, nameBytes('file')), () => {
        throw new Error('work failed');
      }),
    );
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
