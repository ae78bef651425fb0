import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { statAt, statDescriptor } from './attributes.ts';
import { makeHardLink, makeSpecialFile, makeSymlink, removeEntry } from './change-entries.ts';
import { compareTrees, type TreeAspect } from './compare-trees.ts';
import { removeExtendedAttribute, setExtendedAttribute } from './extended-attributes.ts';
import { nameBytes } from './file-name.ts';
import {
  type Descriptor,
  closeDescriptor,
  createFile,
  openDirectory,
  openPlace,
  withDescriptor,
} from './open-relative.ts';
import { setMode, setOwner, setTimes } from './set-attributes.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { makeTortureTree } from './torture-tree.ts';

const isRoot = process.getuid?.() === 0;

test('two torture trees are equal in everything, and the only features left out are those a file system may lack', (t) => {
  const [a, b] = [temporaryFolder(t), temporaryFolder(t)];
  const made = makeTortureTree(a, { sparseBytes: 3_000_000_000 });
  assert.deepEqual(makeTortureTree(b, { sparseBytes: 3_000_000_000 }), made);
  assert.deepEqual(compareTrees(a, b), []);
  const mayLack = ['user attributes', 'access lists', 'trusted attributes', 'capabilities'];
  assert.deepEqual(
    made.leftOut.filter((feature) => !mayLack.includes(feature)),
    [],
  );
  if (made.leftOut.length > 0) t.diagnostic(`left out: ${made.leftOut.join(', ')}`);
});

/** One change of one thing, and what must be said about it: once, in this aspect, at this path. */
type Plant = {
  readonly what: string;
  readonly folder: string;
  readonly entry: string;
  readonly aspect: TreeAspect;
  readonly change: (folder: Descriptor, entry: Uint8Array) => void;
  readonly rootOnly?: true;
};

function again(folder: Descriptor, entry: Uint8Array, make: () => void): void {
  const before = statAt(folder, entry);
  assert.ok(before);
  removeEntry(folder, entry);
  make();
  atPlace(folder, entry, (fd) => {
    if (before.type !== 'symlink') setMode(fd, before.mode);
    setTimes(fd, before);
  });
}

function atPlace(folder: Descriptor, entry: Uint8Array, work: (fd: Descriptor) => void): void {
  withDescriptor(openPlace(folder, entry), work);
}

/** Changes a file without a trace in its times. */
function rewrite(folder: Descriptor, entry: Uint8Array, work: (fd: number) => void): void {
  const before = statAt(folder, entry);
  assert.ok(before);
  const fd = openSync(`/proc/self/fd/${folder}/${Buffer.from(entry).toString()}`, 'r+');
  work(fd);
  closeSync(fd);
  atPlace(folder, entry, (place) => setTimes(place, before));
}

const plants: readonly Plant[] = [
  {
    what: 'a file gone',
    folder: 'empty',
    entry: 'file',
    aspect: 'missing',
    change: removeEntry,
  },
  {
    what: 'a file more',
    folder: 'names',
    entry: 'more',
    aspect: 'extra',
    change: (folder, entry) => closeDescriptor(createFile(folder, entry, 0o600)),
  },
  {
    what: 'one byte of a file',
    folder: 'sizes',
    entry: 'bytes-3000000',
    aspect: 'content',
    change: (folder, entry) => rewrite(folder, entry, (fd) => writeSync(fd, Uint8Array.of(1), 0, 1, 2_999_998)),
  },
  {
    what: 'one byte in the data of a sparse file',
    folder: 'sparse',
    entry: 'data last',
    aspect: 'content',
    change: (folder, entry) => rewrite(folder, entry, (fd) => writeSync(fd, Uint8Array.of(1), 0, 1, 8_388_607)),
  },
  {
    what: 'a byte more',
    folder: 'sizes',
    entry: 'bytes-1',
    aspect: 'size',
    change: (folder, entry) => rewrite(folder, entry, (fd) => ftruncateSync(fd, 2)),
  },
  {
    what: 'a hole filled with zeros',
    folder: 'sparse',
    entry: 'data first',
    aspect: 'blocks',
    change: (folder, entry) =>
      rewrite(folder, entry, (fd) => writeSync(fd, new Uint8Array(1_000_000), 0, 1_000_000, 1_000_000)),
  },
  {
    what: 'a permission',
    folder: 'modes',
    entry: 'file-600',
    aspect: 'mode',
    change: (folder, entry) => atPlace(folder, entry, (fd) => setMode(fd, 0o601)),
  },
  {
    what: 'the setuid bit',
    folder: 'modes',
    entry: 'file-4755',
    aspect: 'mode',
    change: (folder, entry) => atPlace(folder, entry, (fd) => setMode(fd, 0o755)),
  },
  {
    what: 'the sticky bit of a folder',
    folder: 'modes',
    entry: 'folder-1777',
    aspect: 'mode',
    change: (folder, entry) => atPlace(folder, entry, (fd) => setMode(fd, 0o777)),
  },
  {
    what: 'the permissions of a FIFO',
    folder: 'special',
    entry: 'fifo',
    aspect: 'mode',
    change: (folder, entry) => atPlace(folder, entry, (fd) => setMode(fd, 0o600)),
  },
  {
    what: 'the owner of a symlink',
    folder: 'owners',
    entry: 'symlink-1234',
    aspect: 'owner',
    rootOnly: true,
    change: (folder, entry) => atPlace(folder, entry, (fd) => setOwner(fd, 1234, 5679)),
  },
  {
    what: 'a nanosecond',
    folder: 'times',
    entry: 'file-4',
    aspect: 'mtime',
    change: (folder, entry) => nudge(folder, entry, 0, 1),
  },
  {
    what: 'a second before 1970',
    folder: 'times',
    entry: 'folder-2',
    aspect: 'mtime',
    change: (folder, entry) => nudge(folder, entry, -1, 0),
  },
  {
    what: 'a nanosecond of a symlink',
    folder: 'times',
    entry: 'symlink-1',
    aspect: 'mtime',
    change: (folder, entry) => nudge(folder, entry, 0, 1),
  },
  {
    what: 'the target of a symlink, in as many bytes',
    folder: 'symlinks',
    entry: 'cycle-1',
    aspect: 'target',
    change: (folder, entry) => again(folder, entry, () => makeSymlink(nameBytes('cycle-3'), folder, entry)),
  },
  {
    what: 'a socket where a FIFO was',
    folder: 'special',
    entry: 'fifo',
    aspect: 'type',
    change: (folder, entry) => again(folder, entry, () => makeSpecialFile(folder, entry, 0, { type: 'socket' })),
  },
  {
    what: 'the minor number of a device',
    folder: 'special',
    entry: 'large minor',
    aspect: 'device',
    rootOnly: true,
    change: (folder, entry) =>
      again(folder, entry, () =>
        makeSpecialFile(folder, entry, 0, { type: 'character_device', major: 300, minor: 70_001 }),
      ),
  },
  {
    what: 'a byte of an extended attribute',
    folder: 'attributes',
    entry: 'file',
    aspect: 'attributes',
    change: (folder, entry) =>
      rewrite(folder, entry, (fd) => setExtendedAttribute(fd, nameBytes('user.text'), nameBytes('valuf'))),
  },
  {
    what: 'an empty extended attribute of a folder gone',
    folder: 'attributes',
    entry: 'folder',
    aspect: 'attributes',
    change: (folder, entry) => atPlace(folder, entry, (fd) => removeExtendedAttribute(fd, nameBytes('user.empty'))),
  },
  {
    what: 'a trusted attribute of a symlink gone',
    folder: 'attributes',
    entry: 'symlink',
    aspect: 'attributes',
    rootOnly: true,
    change: (folder, entry) =>
      atPlace(folder, entry, (fd) => removeExtendedAttribute(fd, nameBytes('trusted.holdfast'))),
  },
  {
    what: 'a default ACL gone',
    folder: 'acls',
    entry: 'folder',
    aspect: 'attributes',
    change: (folder, entry) =>
      atPlace(folder, entry, (fd) => removeExtendedAttribute(fd, nameBytes('system.posix_acl_default'))),
  },
];

function nudge(folder: Descriptor, entry: Uint8Array, seconds: number, nanoseconds: number): void {
  const before = statAt(folder, entry);
  assert.ok(before);
  const moved = {
    ...before,
    mtimeSeconds: before.mtimeSeconds + seconds,
    mtimeNanoseconds: before.mtimeNanoseconds + nanoseconds,
  };
  atPlace(folder, entry, (fd) => setTimes(fd, moved));
}

const sparse = { sparseBytes: 8_388_608 };

test('a single planted difference of every kind is found, and nothing else', async (t) => {
  const a = temporaryFolder(t);
  const { leftOut } = makeTortureTree(a, sparse);
  for (const plant of plants) {
    const skip =
      (plant.rootOnly === true && !isRoot && 'needs root') ||
      (plant.aspect === 'attributes' && leftOut.length > 0 && `no ${leftOut.join(', ')} here`);
    await t.test(plant.what, { skip }, (inner) => {
      const b = temporaryFolder(inner);
      makeTortureTree(b, sparse);
      withDescriptor(openDirectory(`${b}/${plant.folder}`), (folder) => {
        const before = statDescriptor(folder);
        plant.change(folder, nameBytes(plant.entry));
        setTimes(folder, before);
      });
      const found = compareTrees(a, b).map(({ path, aspect }) => `${path} ${aspect}`);
      assert.deepEqual(found, [`./${plant.folder}/${plant.entry} ${plant.aspect}`]);
    });
  }
});

test('a difference below a path of over 8,000 bytes is found', (t) => {
  const [a, b] = [temporaryFolder(t), temporaryFolder(t)];
  for (const path of [a, b]) makeTortureTree(path, sparse);
  const deepest = ['deep', ...Array.from({ length: 40 }, (_, level) => `${level}-`.padEnd(200, 'deep'))].join('/');
  withDescriptor(openDirectory(`${b}/${deepest}`), (folder) => {
    atPlace(folder, nameBytes('at 40'), (fd) => setMode(fd, 0o640));
  });
  const [only, ...more] = compareTrees(a, b);
  assert.equal(more.length, 0);
  assert.deepEqual([only?.aspect, only?.path === `./${deepest}/at 40`], ['mode', true]);
});

test('a broken link group, and names that changed groups, are found', (t) => {
  const [a, b] = [temporaryFolder(t), temporaryFolder(t)];
  const pairs = { [a]: ['1 2', '3 4'], [b]: ['1 3', '2 4'] };
  for (const [path, groups] of Object.entries(pairs)) {
    withDescriptor(openDirectory(path), (folder) => {
      for (const [first, second] of groups.map((group) => group.split(' ').map(nameBytes))) {
        assert.ok(first && second);
        closeDescriptor(createFile(folder, first, 0o600));
        atPlace(folder, first, (fd) => setTimes(fd, epoch));
        makeHardLink(folder, first, folder, second);
      }
      setTimes(folder, epoch);
    });
  }
  assert.deepEqual(
    compareTrees(a, b).map(({ path, aspect }) => `${path} ${aspect}`),
    ['./2 links', './3 links', './4 links'],
  );
});

const epoch = { atimeSeconds: 0, atimeNanoseconds: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 };
