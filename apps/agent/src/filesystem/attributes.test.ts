import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type FileAttributes, emptyAttributes, isSameFile, isUnchanged, statAt, statDescriptor } from './attributes.ts';
import { nameBytes } from './file-name.ts';
import {
  type Descriptor,
  openChild,
  openChildDirectory,
  openDirectory,
  openPlace,
  withDescriptor,
} from './open-relative.ts';
import { readDirectory } from './read-directory.ts';
import { openTemporaryFolder, temporaryFolder } from './temporary-folder.ts';
import { makeTortureTree } from './torture-tree.ts';

const typeLetters: Readonly<Record<FileAttributes['type'], string>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  character_device: 'c',
  block_device: 'b',
};

/** As find's `%i %y %m %U %G %s %n %T@`; blocks move when a file system writes back, so they are not in it. */
function describe(a: FileAttributes): string {
  const instant = BigInt(a.mtimeSeconds) * 1_000_000_000n + BigInt(a.mtimeNanoseconds);
  const letter = typeLetters[a.type];
  return `${a.inode} ${letter} ${a.mode.toString(8)} ${a.uid} ${a.gid} ${a.sizeBytes} ${a.links} ${instant}`;
}

function describeTree(fd: Descriptor, lines: string[] = []): string[] {
  const names = readDirectory(fd);
  for (let i = 0; i < names.count; i++) {
    const name = names.nameAt(i);
    const attributes = statAt(fd, name);
    assert.ok(attributes);
    assert.equal(names.typeAt(i), attributes.type);
    lines.push(describe(attributes));
    if (attributes.type === 'directory') {
      withDescriptor(openChildDirectory(fd, name), (inner) => describeTree(inner, lines));
    }
  }
  return lines;
}

test('what find says about every entry of the torture tree is what we say', (t) => {
  const path = temporaryFolder(t);
  makeTortureTree(path);
  const format = '%i %y %m %U %G %s %n %T@\\0';
  const found = execFileSync('find', [path, '-mindepth', '1', '-printf', format], { maxBuffer: 1 << 26 })
    .toString()
    .split('\0')
    .slice(0, -1)
    .map(withWholeNanoseconds);
  const ours = withDescriptor(openDirectory(path), (fd) => describeTree(fd));
  assert.ok(ours.length > 250, `${ours.length} entries`);
  const wanted = new Set(found);
  assert.deepEqual(
    ours.filter((line) => !wanted.has(line)),
    [],
  );
  assert.equal(ours.length, found.length);
});

/** find prints the seconds, a point, and ten digits of the nanoseconds after them: -0.5 s is -1.5. */
function withWholeNanoseconds(line: string): string {
  const [, facts, seconds, fraction] = /^(.*) (-?\d+)\.(\d+)$/.exec(line) ?? [];
  return `${facts} ${BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(fraction?.slice(0, 9) ?? 0)}`;
}

test('every field equals what Node reads, where Node reads it exactly', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, 'content');
  const node = lstatSync(`${path}/file`, { bigint: true });
  const ours = statAt(fd, nameBytes('file'));
  assert.ok(ours);
  const instant = (seconds: number, nanoseconds: number) => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  assert.equal(instant(ours.atimeSeconds, ours.atimeNanoseconds), node.atimeNs);
  assert.equal(instant(ours.ctimeSeconds, ours.ctimeNanoseconds), node.ctimeNs);
  assert.equal(instant(ours.mtimeSeconds, ours.mtimeNanoseconds), node.mtimeNs);
  if (ours.birthKnown) assert.equal(instant(ours.birthSeconds, ours.birthNanoseconds), node.birthtimeNs);
  assert.equal(BigInt(ours.blocks), node.blocks);
  assert.equal(ours.inode, node.ino);
  const [major, minor] = [Math.floor(ours.device / 0x10_0000), ours.device % 0x10_0000];
  assert.equal(major, Number((node.dev >> 8n) & 0xfffn));
  assert.equal(minor & 0xff, Number(node.dev & 0xffn));
  assert.equal(ours.mountRoot, false);
});

test('a symlink is described and not followed, by name and by place', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  symlinkSync('/etc', `${path}/link`);
  assert.equal(statAt(fd, nameBytes('link'))?.type, 'symlink');
  const place = withDescriptor(openPlace(fd, nameBytes('link')), (placeFd) => statDescriptor(placeFd));
  assert.equal(place.type, 'symlink');
  assert.equal(place.sizeBytes, 4);
});

test('what has no entry is undefined, and given attributes are filled and returned', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  mkdirSync(`${path}/folder`);
  assert.equal(statAt(fd, nameBytes('nothing')), undefined);
  const into = emptyAttributes();
  assert.equal(statAt(fd, nameBytes('folder'), into), into);
  assert.equal(into.type, 'directory');
});

test('the root of a mount says so, and folders in it do not', () => {
  withDescriptor(openDirectory('/'), (root) => {
    assert.equal(statAt(root, nameBytes('proc'))?.mountRoot, true);
    const proc = statAt(root, nameBytes('proc'));
    assert.notEqual(proc?.mountId, statDescriptor(root).mountId);
    assert.notEqual(proc?.device, statDescriptor(root).device);
    assert.equal(statAt(root, nameBytes('etc'))?.mountRoot, false);
  });
});

test('another file of the same inode number is not the same file, another name of the file is', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/a`, 'one');
  linkSync(`${path}/a`, `${path}/b`);
  const before = statAt(fd, nameBytes('a'));
  const other = statAt(fd, nameBytes('b'));
  assert.ok(before && other);
  assert.ok(isSameFile(before, other));
  assert.ok(isUnchanged(before, other));
  chmodSync(`${path}/a`, 0o600);
  const after = statAt(fd, nameBytes('a'));
  assert.ok(after && isSameFile(before, after));
  assert.ok(!isUnchanged(before, after));
  assert.ok(!isSameFile(before, { ...before, inode: before.inode + 1n }));
  assert.ok(!isSameFile(before, { ...before, device: before.device + 1 }));
  assert.ok(!isSameFile(before, { ...before, type: 'directory' }));
  assert.ok(!isSameFile(before, { ...before, birthNanoseconds: before.birthNanoseconds + 1 }));
  unlinkSync(`${path}/b`);
});

test('names that lead elsewhere are refused, and odd names of one entry are taken', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  mkdirSync(`${path}/a`);
  for (const name of ['', '.', '..', '/', 'a/b', 'a/', '/etc', '../a', 'a\0b', '\0']) {
    assert.throws(() => statAt(fd, nameBytes(name)), { code: 'files.invalid_name' }, JSON.stringify(name));
    assert.throws(() => openChild(fd, nameBytes(name)), { code: 'files.invalid_name' }, JSON.stringify(name));
  }
  for (const name of ['...', '. ', ' ', '.a', 'a.', '..a', 'a\nb', '-', '\\', ':']) {
    writeFileSync(`${path}/${name}`, '');
    assert.equal(statAt(fd, nameBytes(name))?.type, 'file', JSON.stringify(name));
  }
  assert.throws(() => statAt(fd, nameBytes('n'.repeat(256))), { code: 'files.name_too_long' });
  assert.throws(() => statAt(fd, nameBytes('n'.repeat(10_000))), { code: 'files.name_too_long' });
  assert.equal(statAt(fd, nameBytes('n'.repeat(255))), undefined);
});

test('a worker thread uses a descriptor that the main thread opened', async (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, 'content');
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then((files) => {
      let sum = 0;
      for (let i = 0; i < 1000; i++) sum += files.statAt(workerData.fd, files.nameBytes('file')).sizeBytes;
      parentPort.postMessage(sum);
    });`;
  const module = new URL('index.ts', import.meta.url).href;
  const workers = [1, 2].map(() => new Worker(source, { eval: true, workerData: { module, fd } }));
  const sums = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  assert.deepEqual(sums, [7000, 7000]);
});
