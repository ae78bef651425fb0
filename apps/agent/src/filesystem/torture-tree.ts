/**
 * For tests: a tree of everything a backup must bring back, built by descriptor so that no path is too long.
 * Contents, names and times are the same at every call.
 */
import { ftruncateSync, writeSync } from 'node:fs';
import { CodedError } from '@holdfast/base';
import { makeDirectory, makeHardLink, makeSpecialFile, makeSymlink, type SpecialFile } from './change-entries.ts';
import { setExtendedAttribute } from './extended-attributes.ts';
import { nameBytes } from './file-name.ts';
import {
  closeDescriptor,
  createFile,
  type Descriptor,
  openChildDirectory,
  openDirectory,
  openPlace,
  withDescriptor,
} from './open-relative.ts';
import { setMode, setOwner, setTimes } from './set-attributes.ts';
import { tortureNames } from './torture-names.ts';

/** What to build. */
export type TortureOptions = {
  /** Device nodes, other owners, unreadable modes and root's attributes too; as this process can by default. */
  readonly asRoot?: boolean;
  /** Length of each sparse file; 64 MiB by default. */
  readonly sparseBytes?: number;
};

/** What was built. */
export type TortureTree = {
  /** Features this file system or kernel refused, so that a test can say what it did not see. */
  readonly leftOut: readonly string[];
};

type Build = { readonly root: Descriptor; readonly asRoot: boolean; readonly sparseBytes: number; leftOut: string[] };

/** Builds the tree in an existing empty folder. */
export function makeTortureTree(path: string, options: TortureOptions = {}): TortureTree {
  const asRoot = options.asRoot ?? process.getuid?.() === 0;
  const leftOut: string[] = [];
  withDescriptor(openDirectory(path), (root) => {
    const build: Build = { root, asRoot, sparseBytes: options.sparseBytes ?? 64 * 1024 * 1024, leftOut };
    for (const [name, fill] of Object.entries(parts)) inFolder(root, name, (folder) => fill(build, folder));
    setTimes(root, times(1_000_000_007, 7));
  });
  return { leftOut };
}

/** Top-level folders; a later one may link to what an earlier one holds. */
const parts: Readonly<Record<string, (build: Build, folder: Descriptor) => void>> = {
  empty: makeEmpty,
  sizes: makeSizes,
  sparse: makeSparse,
  names: makeNames,
  'link targets': makeLinkGroups,
  symlinks: makeSymlinks,
  special: makeSpecials,
  modes: makeModes,
  attributes: makeAttributes,
  acls: makeAccessLists,
  owners: makeOwners,
  times: makeTimes,
  deep: makeDeep,
};

function makeEmpty(_: Build, folder: Descriptor): void {
  makeFile(folder, 'file');
  inFolder(folder, 'folder', () => undefined);
  inFolder(folder, 'outer', (outer) => inFolder(outer, 'inner', () => undefined));
}

function makeSizes(_: Build, folder: Descriptor): void {
  for (const size of [1, 511, 512, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_577, 3_000_000]) {
    makeFile(folder, `bytes-${size}`, { content: noise(size, size) });
  }
  makeFile(folder, 'zeros', { content: new Uint8Array(100_000) });
  makeFile(folder, 'text', { content: nameBytes('the same line again\n'.repeat(5000)) });
  // Two files of one content, for deduplication.
  for (const name of ['twin-1', 'twin-2']) makeFile(folder, name, { content: noise(300_000, 42) });
}

function makeSparse({ sparseBytes }: Build, folder: Descriptor): void {
  const data = noise(200_000, 5);
  const middle = Math.floor(sparseBytes / 2 / 4096) * 4096;
  const layouts: Readonly<Record<string, readonly number[]>> = {
    'only a hole': [],
    'data first': [0],
    'data last': [sparseBytes - data.length],
    'data amid': [middle],
    'data in many places': Array.from({ length: 50 }, (_, i) => Math.floor((i * sparseBytes) / 51 / 4096) * 4096),
  };
  for (const [name, offsets] of Object.entries(layouts)) {
    makeFile(folder, name, {
      fill(fd) {
        ftruncateSync(fd, sparseBytes);
        for (const offset of offsets) writeSync(fd, data, 0, Math.min(data.length, sparseBytes - offset), offset);
      },
    });
  }
}

function makeNames(_: Build, folder: Descriptor): void {
  for (const [i, name] of tortureNames.entries()) makeFile(folder, name, { content: noise(i * 37, i) });
  inFolder(folder, 'folders', (folders) => {
    for (const name of tortureNames) inFolder(folders, name, (inner) => makeFile(inner, 'in it'));
  });
}

function makeLinkGroups({ root }: Build, folder: Descriptor): void {
  makeFile(folder, 'first', { content: noise(5000, 1) });
  symlinkTo(nameBytes('first'), folder, 'symlink');
  special(folder, 'fifo', 0o600, { type: 'fifo' });
  inFolder(root, 'links elsewhere', (elsewhere) => {
    makeHardLink(folder, nameBytes('first'), elsewhere, nameBytes('second'));
    makeHardLink(folder, nameBytes('first'), elsewhere, nameBytes('third'));
    makeHardLink(folder, nameBytes('symlink'), elsewhere, nameBytes('symlink too'));
    makeHardLink(folder, nameBytes('fifo'), elsewhere, nameBytes('fifo too'));
  });
  // The same content in another file, which must not become a member.
  makeFile(folder, 'no member', { content: noise(5000, 1) });
  atEntry(folder, 'first', (fd) => setTimes(fd, times(1_111_111_111, 1)));
}

function makeSymlinks(_: Build, folder: Descriptor): void {
  const targets: Readonly<Record<string, string | Uint8Array>> = {
    'to a file': '../sizes/bytes-1',
    'to a folder': '../empty',
    dangling: 'no such file',
    loop: 'loop',
    'cycle-1': 'cycle-2',
    'cycle-2': 'cycle-1',
    absolute: '/etc/hostname',
    'absolute and dangling': '/no/such/place',
    upwards: '../../../../../../../../../..',
    'with a newline': 'a\nb',
    'not UTF-8': Uint8Array.of(0xff, 0xfe, 0x2f, 0x80),
    long: 'd/'.repeat(2047).slice(0, 4094),
  };
  for (const [name, target] of Object.entries(targets)) {
    symlinkTo(typeof target === 'string' ? nameBytes(target) : target, folder, name);
  }
}

function makeSpecials({ asRoot }: Build, folder: Descriptor): void {
  special(folder, 'fifo', 0o640, { type: 'fifo' });
  special(folder, 'socket', 0o755, { type: 'socket' });
  if (asRoot) {
    const devices = { 'like null': [1, 3], 'large minor': [300, 70_000] } as const;
    for (const [name, [major, minor]] of Object.entries(devices)) {
      special(folder, name, 0o660, { type: 'character_device', major, minor });
    }
    special(folder, 'block', 0o600, { type: 'block_device', major: 7, minor: 99 });
  }
}

function makeModes({ asRoot }: Build, folder: Descriptor): void {
  for (const mode of [0o4755, 0o2755, 0o6711, 0o1644, 0o444, 0o600, 0o777]) {
    makeFile(folder, `file-${mode.toString(8)}`, { content: noise(100, mode), mode });
  }
  for (const mode of [0o1777, 0o2775, 0o700, 0o555]) {
    inFolder(folder, `folder-${mode.toString(8)}`, () => undefined, mode);
  }
  if (!asRoot) return;
  for (const mode of [0o000, 0o111, 0o200]) {
    makeFile(folder, `file-${mode.toString(8)}`, { content: noise(100, mode), mode });
    inFolder(folder, `folder-${mode.toString(8)}`, (inner) => makeFile(inner, 'in it'), mode);
  }
}

function makeAttributes(build: Build, folder: Descriptor): void {
  const values: Readonly<Record<string, Uint8Array>> = {
    'user.text': nameBytes('value'),
    'user.empty': new Uint8Array(0),
    'user.binary': Uint8Array.of(0, 255, 10, 0, 13, 254),
    'user.long': noise(2500, 9),
    'user.näme': nameBytes('x'),
  };
  const setAll = (fd: Descriptor) => {
    for (const [name, value] of Object.entries(values)) setExtendedAttribute(fd, nameBytes(name), value);
  };
  makeFile(folder, 'file', {
    content: noise(10, 1),
    fill: (fd) => attempt(build, 'user attributes', () => setAll(fd)),
  });
  inFolder(folder, 'folder', (inner) => attempt(build, 'user attributes', () => setAll(inner)));
  if (!build.asRoot) return;
  symlinkTo(nameBytes('file'), folder, 'symlink');
  special(folder, 'fifo', 0o600, { type: 'fifo' });
  for (const name of ['file', 'symlink', 'fifo']) {
    atEntry(folder, name, (fd) =>
      attempt(build, 'trusted attributes', () => {
        setExtendedAttribute(fd, nameBytes('trusted.holdfast'), nameBytes(name));
      }),
    );
  }
  // Version 2, effective, cap_net_bind_service permitted: struct vfs_cap_data of linux/capability.h.
  const capability = Uint8Array.of(1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  makeFile(folder, 'capable', {
    mode: 0o755,
    fill: (fd) =>
      attempt(build, 'capabilities', () => setExtendedAttribute(fd, nameBytes('security.capability'), capability)),
  });
}

/** An access list in the kernel's form: version 2, then (tag, permissions, id), all little-endian. */
function accessList(
  ...entries: readonly (readonly [tag: number, permissions: number, subjectId?: number])[]
): Uint8Array {
  const list = new DataView(new ArrayBuffer(4 + entries.length * 8));
  list.setUint32(0, 2, true);
  for (const [i, [tag, permissions, subjectId]] of entries.entries()) {
    list.setUint16(4 + i * 8, tag, true);
    list.setUint16(6 + i * 8, permissions, true);
    list.setUint32(8 + i * 8, subjectId ?? 0xffff_ffff, true);
  }
  return new Uint8Array(list.buffer);
}

function makeAccessLists(build: Build, folder: Descriptor): void {
  const list = accessList(
    [0x01, 7],
    [0x02, 4, 1234],
    [0x02, 6, 65_534],
    [0x04, 4],
    [0x08, 5, 5678],
    [0x10, 7],
    [0x20, 0],
  );
  const set = (fd: Descriptor, name: string) =>
    attempt(build, 'access lists', () => setExtendedAttribute(fd, nameBytes(name), list));
  makeFile(folder, 'file', { content: noise(10, 2), fill: (fd) => set(fd, 'system.posix_acl_access') });
  inFolder(folder, 'folder', (inner) => {
    set(inner, 'system.posix_acl_access');
    set(inner, 'system.posix_acl_default');
    makeFile(inner, 'heir', { content: noise(10, 3) });
  });
}

function makeOwners({ asRoot }: Build, folder: Descriptor): void {
  if (!asRoot) return;
  const owners = [
    [1234, 5678],
    [65_534, 65_534],
    [4_294_967_294, 0],
  ] as const;
  for (const [uid, gid] of owners) {
    makeFile(folder, `file-${uid}`, { content: noise(10, uid) });
    symlinkTo(nameBytes('nowhere'), folder, `symlink-${uid}`);
    special(folder, `fifo-${uid}`, 0o600, { type: 'fifo' });
    inFolder(folder, `folder-${uid}`, () => undefined);
    for (const kind of ['file', 'symlink', 'fifo', 'folder']) {
      atEntry(folder, `${kind}-${uid}`, (fd) => {
        setOwner(fd, uid, gid);
        if (kind === 'file') setMode(fd, 0o6755);
        setTimes(fd, times(1_400_000_000, uid % 1000));
      });
    }
  }
}

function makeTimes(_: Build, folder: Descriptor): void {
  const instants: readonly (readonly [seconds: number, nanoseconds: number])[] = [
    [0, 0],
    [0, 1],
    [-1, 999_999_999],
    [-1, 0],
    [-86_400 * 365 * 30, 123_456_789],
    [-2_147_483_648, 0],
    [2_147_483_648, 5],
    [4_294_967_296, 999_999_999],
    [1_700_000_000, 123_456_789],
  ];
  for (const [i, [seconds, nanoseconds]] of instants.entries()) {
    makeFile(folder, `file-${i}`, { content: noise(i, i) });
    symlinkTo(nameBytes('x'), folder, `symlink-${i}`);
    inFolder(folder, `folder-${i}`, (inner) => makeFile(inner, 'in it'));
    for (const kind of ['file', 'symlink', 'folder']) {
      atEntry(folder, `${kind}-${i}`, (fd) => setTimes(fd, times(seconds, nanoseconds)));
    }
  }
}

/** 40 folders of 200-byte names below each other: a path of over 8,000 bytes. */
function makeDeep(_: Build, folder: Descriptor): void {
  makeLevel(folder, 0);
}

function makeLevel(folder: Descriptor, level: number): void {
  makeFile(folder, `at ${level}`, { content: noise(level * 100, level) });
  if (level === 40) return;
  inFolder(folder, `${level}-`.padEnd(200, 'deep'), (inner) => makeLevel(inner, level + 1));
}

type FileContent = {
  readonly content?: Uint8Array;
  readonly mode?: number;
  readonly fill?: (fd: Descriptor) => void;
};

function makeFile(folder: Descriptor, name: string | Uint8Array, file: FileContent = {}): void {
  const { content = new Uint8Array(0), mode = 0o644, fill } = file;
  const bytes = asBytes(name);
  withDescriptor(createFile(folder, bytes, 0o600), (fd) => {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
    setMode(fd, mode);
    fill?.(fd);
    setTimes(fd, times(1_000_000_000 + bytes.length, 100 + bytes.length));
  });
}

/** Makes a folder, fills it, and sets its mode and times last. */
function inFolder(parent: Descriptor, name: string | Uint8Array, fill: (fd: Descriptor) => void, mode = 0o755): void {
  const bytes = asBytes(name);
  makeDirectory(parent, bytes, 0o700);
  withDescriptor(openChildDirectory(parent, bytes), (fd) => {
    setMode(fd, mode);
    fill(fd);
    setTimes(fd, times(1_200_000_000 + bytes.length, 999_999_999 - bytes.length));
  });
}

function symlinkTo(target: Uint8Array, folder: Descriptor, name: string): void {
  makeSymlink(target, folder, nameBytes(name));
  atEntry(folder, name, (fd) => setTimes(fd, times(1_234_567_890, 123_456_789)));
}

function special(folder: Descriptor, name: string, mode: number, what: SpecialFile): void {
  makeSpecialFile(folder, nameBytes(name), mode, what);
  atEntry(folder, name, (fd) => {
    setMode(fd, mode);
    setTimes(fd, times(987_654_321, 1));
  });
}

function atEntry(folder: Descriptor, name: string, work: (fd: Descriptor) => void): void {
  const fd = openPlace(folder, nameBytes(name));
  try {
    work(fd);
  } finally {
    closeDescriptor(fd);
  }
}

function attempt(build: Build, feature: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof CodedError) || !refusals.has(error.code)) throw error;
    if (!build.leftOut.includes(feature)) build.leftOut.push(feature);
  }
}

const refusals: ReadonlySet<string> = new Set(['files.unsupported', 'files.permission_denied']);

function asBytes(name: string | Uint8Array): Uint8Array {
  return typeof name === 'string' ? nameBytes(name) : name;
}

function times(seconds: number, nanoseconds: number) {
  return { atimeSeconds: 1_500_000_000, atimeNanoseconds: 0, mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds };
}

/** Bytes that do not compress, the same for the same seed: xorshift32 (Marsaglia, 2003). */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) * 0x9e37_79b9;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
