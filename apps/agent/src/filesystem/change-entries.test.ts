import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type FileAttributes, statAt, statDescriptor } from './attributes.ts';
import {
  entryType,
  makeDirectory,
  makeHardLink,
  makeSpecialFile,
  makeSymlink,
  removeDirectory,
  removeEntry,
  renameEntry,
} from './change-entries.ts';
import {
  getExtendedAttribute,
  listExtendedAttributes,
  removeExtendedAttribute,
  setExtendedAttribute,
} from './extended-attributes.ts';
import { nameBytes, printableName } from './file-name.ts';
import { type Descriptor, openChild, openPlace, withDescriptor } from './open-relative.ts';
import { readLink } from './read-link.ts';
import { setMode, setOwner, setOwnerAt, setTimes, setTimesAt } from './set-attributes.ts';
import { openTemporaryFolder } from './temporary-folder.ts';
import { tortureNames } from './torture-names.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';

function stat(fd: Descriptor, name: string): FileAttributes {
  const attributes = statAt(fd, nameBytes(name));
  assert.ok(attributes, name);
  return attributes;
}

/** One of each type that an ordinary user can make, none of them opened. */
function makeOneOfEach(fd: Descriptor, path: string): readonly string[] {
  writeFileSync(`${path}/file`, 'content');
  makeDirectory(fd, nameBytes('folder'), 0o755);
  makeSymlink(nameBytes('nowhere'), fd, nameBytes('symlink'));
  makeSpecialFile(fd, nameBytes('fifo'), 0o644, { type: 'fifo' });
  makeSpecialFile(fd, nameBytes('socket'), 0o644, { type: 'socket' });
  return ['file', 'folder', 'symlink', 'fifo', 'socket'];
}

test('entries of every type are made, linked and removed as Node sees them', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  makeOneOfEach(fd, path);
  assert.ok(lstatSync(`${path}/fifo`).isFIFO());
  assert.ok(lstatSync(`${path}/socket`).isSocket());
  assert.equal(readlinkSync(`${path}/symlink`), 'nowhere');
  for (const name of ['file', 'symlink', 'fifo', 'socket']) {
    makeHardLink(fd, nameBytes(name), fd, nameBytes(`${name} too`));
    assert.equal(stat(fd, `${name} too`).inode, stat(fd, name).inode);
    assert.equal(entryType(fd, nameBytes(`${name} too`)), stat(fd, name).type);
    removeEntry(fd, nameBytes(name));
    assert.equal(entryType(fd, nameBytes(name)), undefined);
  }
  assert.throws(() => removeEntry(fd, nameBytes('folder')), { code: 'files.is_directory' });
  assert.throws(() => removeDirectory(fd, nameBytes('file too')), { code: 'files.not_directory' });
  mkdirSync(`${path}/folder/inner`);
  assert.throws(() => removeDirectory(fd, nameBytes('folder')), { code: 'files.not_empty' });
  withDescriptor(openChild(fd, nameBytes('folder')), (folder) => removeDirectory(folder, nameBytes('inner')));
  removeDirectory(fd, nameBytes('folder'));
  assert.equal(entryType(fd, nameBytes('folder')), undefined);
});

test('device nodes carry the numbers they were made with', { skip: needsRoot }, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const numbers = [
    [1, 3],
    [0, 0],
    [7, 255],
    [8, 256],
    [300, 70_000],
    [4095, 1_048_575],
  ] as const;
  for (const type of ['character_device', 'block_device'] as const) {
    for (const [major, minor] of numbers) {
      const name = `${type} ${major} ${minor}`;
      // The kernel keeps character device 0:0 for overlay file systems, and takes it all the same.
      makeSpecialFile(fd, nameBytes(name), 0o600, { type, major, minor });
      const { rdevMajor, rdevMinor, type: made } = stat(fd, name);
      assert.deepEqual([made, rdevMajor, rdevMinor], [type, major, minor]);
    }
  }
  for (const [major, minor] of [
    [4096, 0],
    [0, 1_048_576],
    [-1, 0],
    [1.5, 0],
  ] as const) {
    assert.throws(() => makeSpecialFile(fd, nameBytes('bad'), 0o600, { type: 'character_device', major, minor }), {
      code: 'files.invalid_argument',
    });
  }
  assert.ok(!readdirSync(path).includes('bad'));
});

test('a rename replaces, keeps or exchanges as asked', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const at = (name: string) => ({ directoryFd: fd, name: nameBytes(name) });
  writeFileSync(`${path}/a`, 'A');
  writeFileSync(`${path}/b`, 'B');
  assert.throws(() => renameEntry(at('a'), at('b'), 'keep'), { code: 'files.exists' });
  renameEntry(at('a'), at('b'), 'exchange');
  assert.equal(readFileSync(`${path}/a`, 'utf8'), 'B');
  renameEntry(at('a'), at('b'), 'replace');
  assert.equal(readFileSync(`${path}/b`, 'utf8'), 'B');
  renameEntry(at('b'), at('c'), 'keep');
  assert.deepEqual(readdirSync(path), ['c']);
});

test('the target of a symlink comes back byte for byte', (t) => {
  const { fd } = openTemporaryFolder(t);
  const targets = [...tortureNames, nameBytes('/absolute/../x'), nameBytes('long/'.repeat(818))];
  for (const [i, target] of targets.entries()) {
    makeSymlink(target, fd, nameBytes(`link ${i}`));
    assert.deepEqual(readLink(fd, nameBytes(`link ${i}`)), target);
  }
  makeSpecialFile(fd, nameBytes('fifo'), 0o600, { type: 'fifo' });
  assert.throws(() => readLink(fd, nameBytes('fifo')), { code: 'files.invalid_argument' });
  assert.throws(() => makeSymlink(nameBytes('a\0b'), fd, nameBytes('cut')), { code: 'files.invalid_name' });
});

test('times before 1970 and nanoseconds are kept on every type, by place and by name', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  const instants = [
    [-1, 999_999_999],
    // The earliest that ext4 holds; below it, it clamps.
    [-2_147_483_648, 0],
    [-2_147_483_647, 1],
    [-86_400 * 20_000, 5],
    [0, 0],
    [2_147_483_648, 123_456_789],
    [9_999_999_999, 1],
  ] as const;
  for (const name of makeOneOfEach(fd, path)) {
    for (const [seconds, nanoseconds] of instants) {
      const times = {
        atimeSeconds: seconds + 10,
        atimeNanoseconds: nanoseconds,
        mtimeSeconds: seconds,
        mtimeNanoseconds: nanoseconds,
      };
      const later = { ...times, mtimeSeconds: seconds + 1 };
      withDescriptor(openPlace(fd, nameBytes(name)), (place) => setTimes(place, times));
      assert.partialDeepStrictEqual(stat(fd, name), times);
      setTimesAt(fd, nameBytes(name), later);
      assert.partialDeepStrictEqual(stat(fd, name), later);
    }
  }
  assert.throws(() => setTimesAt(fd, nameBytes('file'), { ...stat(fd, 'file'), mtimeNanoseconds: 1_000_000_000 }), {
    code: 'files.invalid_argument',
  });
});

test('all twelve bits of the mode are set on every type but symlinks', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  for (const name of makeOneOfEach(fd, path)) {
    withDescriptor(openPlace(fd, nameBytes(name)), (place) => {
      if (name === 'symlink') {
        assert.throws(() => setMode(place, 0o600), { code: 'files.unsupported' });
        return;
      }
      for (const mode of [0o7777, 0o000, 0o4755, 0o1777, 0o644]) {
        setMode(place, mode);
        assert.equal(statDescriptor(place).mode, mode, `${name} ${mode.toString(8)}`);
      }
    });
  }
});

test('owners are set on every type, on a symlink its own', { skip: needsRoot }, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  for (const name of makeOneOfEach(fd, path)) {
    withDescriptor(openPlace(fd, nameBytes(name)), (place) => setOwner(place, 1234, 4_294_967_294));
    assert.partialDeepStrictEqual(stat(fd, name), { uid: 1234, gid: 4_294_967_294 });
    setOwnerAt(fd, nameBytes(name), 0, 7);
    assert.partialDeepStrictEqual(stat(fd, name), { uid: 0, gid: 7 });
  }
});

test('extended attributes are listed, read, replaced and removed on files and folders', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  makeOneOfEach(fd, path);
  const values = { 'user.a': nameBytes('1'), 'user.empty': new Uint8Array(0), 'user.bin': Uint8Array.of(0, 255, 0) };
  for (const open of [openChild, openPlace]) {
    for (const name of ['file', 'folder']) {
      withDescriptor(open(fd, nameBytes(name)), (entry) => {
        assert.deepEqual(listExtendedAttributes(entry), []);
        for (const [attribute, value] of Object.entries(values)) {
          setExtendedAttribute(entry, nameBytes(attribute), nameBytes('before'));
          setExtendedAttribute(entry, nameBytes(attribute), value);
          assert.deepEqual(getExtendedAttribute(entry, nameBytes(attribute)), value);
        }
        const names = listExtendedAttributes(entry).map(printableName);
        assert.deepEqual(names.toSorted(), Object.keys(values).toSorted());
        assert.equal(getExtendedAttribute(entry, nameBytes('user.none')), undefined);
        for (const attribute of names) removeExtendedAttribute(entry, nameBytes(attribute));
        assert.throws(() => removeExtendedAttribute(entry, nameBytes('user.a')), { code: 'files.attribute_missing' });
      });
    }
  }
});

test('extended attributes of symlinks and special files are their own', { skip: needsRoot }, (t) => {
  const { path, fd } = openTemporaryFolder(t);
  makeOneOfEach(fd, path);
  writeFileSync(`${path}/nowhere`, 'what the symlink points to');
  for (const name of ['symlink', 'fifo', 'socket']) {
    withDescriptor(openPlace(fd, nameBytes(name)), (place) => {
      setExtendedAttribute(place, nameBytes('trusted.test'), nameBytes(name));
      assert.deepEqual(listExtendedAttributes(place).map(printableName), ['trusted.test']);
      assert.deepEqual(getExtendedAttribute(place, nameBytes('trusted.test')), nameBytes(name));
      assert.throws(() => setExtendedAttribute(place, nameBytes('user.test'), nameBytes('x')), {
        code: 'files.permission_denied',
      });
    });
  }
  withDescriptor(openPlace(fd, nameBytes('nowhere')), (place) => assert.deepEqual(listExtendedAttributes(place), []));
});

test('a value longer than the kernel takes is files.too_large, and a name of no namespace is unsupported', (t) => {
  const { path, fd } = openTemporaryFolder(t);
  writeFileSync(`${path}/file`, '');
  withDescriptor(openPlace(fd, nameBytes('file')), (place) => {
    for (const length of [65_537, 1_000_000]) {
      assert.throws(() => setExtendedAttribute(place, nameBytes('user.long'), new Uint8Array(length)), {
        code: 'files.too_large',
      });
    }
    assert.throws(() => setExtendedAttribute(place, nameBytes('nonsense'), new Uint8Array(1)), {
      code: 'files.unsupported',
    });
    setExtendedAttribute(place, nameBytes('user.fits'), new Uint8Array(1000));
  });
});
