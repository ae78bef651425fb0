import assert from 'node:assert/strict';
import { ftruncateSync, mkdirSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { compareNames, nameBytes } from './file-name.ts';
import { closeDescriptor, createFile, openChildDirectory, withDescriptor } from './open-relative.ts';
import { type DirectoryNames, readDirectory } from './read-directory.ts';
import { dataRanges, nextData, nextHole } from './sparse.ts';
import { openTemporaryFolder } from './temporary-folder.ts';
import { tortureNames } from './torture-names.ts';

function all(names: DirectoryNames): Uint8Array[] {
  return Array.from({ length: names.count }, (_, place) => names.nameAt(place));
}

test('every odd name comes back as it was made, in bytewise order', (t) => {
  const { fd } = openTemporaryFolder(t);
  for (const name of tortureNames) closeDescriptor(createFile(fd, name, 0o600));
  const names = readDirectory(fd);
  assert.deepEqual(all(names).map(copy), tortureNames.map(copy).toSorted(compareNames));
  assert.equal(names.typeAt(0), 'file');
});

/** A view of a larger block never equals an array of its own, deeply. */
function copy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

test('an empty folder has no names, and a folder read again shows what came and went', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  assert.equal(readDirectory(fd).count, 0);
  assert.throws(() => readDirectory(fd).nameAt(0), RangeError);
  writeFileSync(`${path}/b`, '');
  mkdirSync(`${path}/a`);
  const names = readDirectory(fd);
  assert.deepEqual(all(names).map(String), ['a', 'b'].map(nameBytes).map(String));
  assert.deepEqual([names.typeAt(0), names.typeAt(1)], ['directory', 'file']);
  rmSync(`${path}/b`);
  assert.equal(readDirectory(fd).count, 1);
  assert.equal(readDirectory(fd).count, 1);
});

test('reading what is no folder is refused', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, '');
  assert.throws(() => openChildDirectory(fd, nameBytes('file')), { code: 'files.not_directory' });
  withDescriptor(createFile(fd, nameBytes('new'), 0o600), (file) => {
    assert.throws(() => readDirectory(file), { code: 'files.not_directory' });
  });
});

const many = process.env['HOLDFAST_TEST_FULL'] === '1' ? 1_000_000 : 30_000;

test(`${many} names of one folder are all read, in order, without an object per name`, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  for (let i = 0; i < many; i++) {
    closeDescriptor(createFile(fd, nameBytes(`${'abc'[i % 3]} file ${i}`), 0o600));
  }
  const before = process.memoryUsage().rss;
  const startedAt = performance.now();
  const names = readDirectory(fd);
  const grownBytes = process.memoryUsage().rss - before;
  t.diagnostic(`${Math.round(performance.now() - startedAt)} ms, ${Math.round(grownBytes / 1e6)} MB`);
  assert.equal(names.count, many);
  for (let place = 1; place < many; place++) {
    assert.ok(compareNames(names.nameAt(place - 1), names.nameAt(place)) < 0);
  }
  assert.deepEqual(new Set(all(names).map((name) => Buffer.from(name).toString())), new Set(readdirSync(path)));
  assert.ok(grownBytes < 20e6 + many * 120, `${grownBytes} bytes`);
});

test('the data of a sparse file is found, and its holes are what lies between', (t) => {
  const { fd } = openTemporaryFolder(t);
  const block = 65_536;
  withDescriptor(createFile(fd, nameBytes('sparse'), 0o600), (file) => {
    ftruncateSync(file, 100 * block);
    assert.deepEqual([...dataRanges(file, { offset: 0, length: 100 * block })], []);
    assert.equal(nextData(file, 0), undefined);
    for (const place of [3, 4, 50, 99]) writeSync(file, Buffer.alloc(block, place), 0, block, place * block);
    const expected = [
      { offset: 3 * block, length: 2 * block },
      { offset: 50 * block, length: block },
      { offset: 99 * block, length: block },
    ];
    assert.deepEqual([...dataRanges(file, { offset: 0, length: 100 * block })], expected);
    assert.deepEqual(
      [...dataRanges(file, { offset: 3 * block + 10, length: 47 * block })],
      [
        { offset: 3 * block + 10, length: 2 * block - 10 },
        { offset: 50 * block, length: 10 },
      ],
    );
    assert.equal(nextHole(file, 0), 0);
    assert.equal(nextHole(file, 99 * block), 100 * block);
    assert.equal(nextHole(file, 100 * block), undefined);
    // It shrinks while it is walked: what is left of the walk ends.
    const walk = dataRanges(file, { offset: 0, length: 100 * block });
    walk.next();
    ftruncateSync(file, 5 * block);
    assert.equal(walk.next().done, true);
  });
});
