/** For tests: compares two trees in everything a restore must bring back. Walks by descriptor, so no path is too long. */
import { readSync } from 'node:fs';
import { CodedError } from '@holdfast/base';
import { type FileAttributes, statAt, statDescriptor } from './attributes.ts';
import { getExtendedAttribute, listExtendedAttributes } from './extended-attributes.ts';
import { compareNames, printableName } from './file-name.ts';
import {
  type Descriptor,
  openChildDirectory,
  openDirectory,
  openPlace,
  openRecorded,
  withDescriptor,
} from './open-relative.ts';
import { type DirectoryNames, readDirectory } from './read-directory.ts';
import { readLink } from './read-link.ts';
import { nextData } from './sparse.ts';

/** In what two entries of one path differ. */
export type TreeAspect =
  | 'missing'
  | 'extra'
  | 'type'
  | 'size'
  | 'content'
  | 'blocks'
  | 'mode'
  | 'owner'
  | 'mtime'
  | 'target'
  | 'device'
  | 'attributes'
  | 'links'
  | 'unreadable';

/** One difference; `path` is relative and printable, the root being `.`. */
export type TreeDifference = {
  readonly path: string;
  readonly aspect: TreeAspect;
  readonly expected: string;
  readonly found: string;
};

/** How to compare. */
export type CompareOptions = {
  /** Aspects not to be looked at: an ordinary user cannot restore owners, for one. */
  readonly except?: readonly TreeAspect[];
  /** Leave out extended attributes for which this says no; ACLs are `system.posix_acl_*`. */
  readonly attributeFilter?: (name: string) => boolean;
  /** Differences after so many are not looked for; 200 by default. */
  readonly mostDifferences?: number;
};

/** Walks both trees and lists how the second differs from the first; empty means equal. */
export function compareTrees(expectedPath: string, foundPath: string, options: CompareOptions = {}): TreeDifference[] {
  const comparison: Comparison = {
    options,
    skipped: new Set(options.except),
    differences: [],
    mostDifferences: options.mostDifferences ?? 200,
    groups: { expected: new Map(), found: new Map() },
    buffers: { expected: new Uint8Array(stepBytes), found: new Uint8Array(stepBytes) },
  };
  withDescriptor(openDirectory(expectedPath), (expectedFd) =>
    withDescriptor(openDirectory(foundPath), (foundFd) => {
      const pair = { expected: statDescriptor(expectedFd), found: statDescriptor(foundFd) };
      compareEntry(comparison, '.', pair);
      compareExtendedAttributes(comparison, '.', { expected: expectedFd, found: foundFd });
      compareFolders(comparison, '.', { expected: expectedFd, found: foundFd });
    }),
  );
  return comparison.differences;
}

type Pair<T> = { readonly expected: T; readonly found: T };

type Comparison = {
  readonly options: CompareOptions;
  readonly skipped: ReadonlySet<TreeAspect>;
  readonly differences: TreeDifference[];
  readonly mostDifferences: number;
  /** Of every inode of several names, the path it was met at first. */
  readonly groups: Pair<Map<string, string>>;
  readonly buffers: Pair<Uint8Array>;
};

const stepBytes = 1_048_576;
/** Of a sparse file, in which allocated blocks may differ: file systems allocate around data as they like. */
const blockTolerance = 0.05;
const blockSlack = 16;

function differ(comparison: Comparison, path: string, aspect: TreeAspect, values: Pair<string>): void {
  if (!comparison.skipped.has(aspect)) comparison.differences.push({ path, aspect, ...values });
}

function compareFolders(comparison: Comparison, path: string, folders: Pair<Descriptor>): void {
  const names: Pair<DirectoryNames> = {
    expected: readDirectory(folders.expected),
    found: readDirectory(folders.found),
  };
  let e = 0;
  let f = 0;
  while ((e < names.expected.count || f < names.found.count) && !isFull(comparison)) {
    const order = orderAt(names, e, f);
    const name = order <= 0 ? names.expected.nameAt(e) : names.found.nameAt(f);
    const childPath = `${path}/${printableName(name)}`;
    if (order < 0) differ(comparison, childPath, 'missing', { expected: 'an entry', found: 'none' });
    else if (order > 0) differ(comparison, childPath, 'extra', { expected: 'none', found: 'an entry' });
    else compareAt(comparison, childPath, name, folders);
    if (order <= 0) e++;
    if (order >= 0) f++;
  }
}

function isFull({ differences, mostDifferences }: Comparison): boolean {
  return differences.length >= mostDifferences;
}

function orderAt(names: Pair<DirectoryNames>, e: number, f: number): number {
  if (e >= names.expected.count) return 1;
  if (f >= names.found.count) return -1;
  return compareNames(names.expected.nameAt(e), names.found.nameAt(f));
}

function compareAt(comparison: Comparison, path: string, name: Uint8Array, folders: Pair<Descriptor>): void {
  const expected = statAt(folders.expected, name);
  const found = statAt(folders.found, name);
  if (expected === undefined || found === undefined) throw new Error(`${path} went away while it was compared`);
  const pair = { expected, found };
  compareEntry(comparison, path, pair);
  if (expected.type !== found.type) return;
  reading(comparison, path, () => {
    withBoth(
      folders,
      (fd) => openPlace(fd, name),
      (places) => compareExtendedAttributes(comparison, path, places),
    );
    if (expected.type === 'symlink') compareTargets(comparison, path, name, folders);
    if (expected.type === 'file' && expected.sizeBytes === found.sizeBytes) {
      withBoth(
        folders,
        (fd, side) => open(fd, name, pair[side]),
        (files) => compareContent(comparison, path, files),
      );
    }
    if (expected.type === 'directory') {
      withBoth(
        folders,
        (fd) => openChildDirectory(fd, name),
        (inner) => compareFolders(comparison, path, inner),
      );
    }
  });
}

function open(folder: Descriptor, name: Uint8Array, recorded: FileAttributes): Descriptor {
  const fd = openRecorded(folder, name, recorded);
  if (fd === undefined) throw new Error(`${printableName(name)} was replaced while it was compared`);
  return fd;
}

function withBoth(
  folders: Pair<Descriptor>,
  openOne: (folder: Descriptor, side: keyof Pair<unknown>) => Descriptor,
  work: (both: Pair<Descriptor>) => void,
): void {
  withDescriptor(openOne(folders.expected, 'expected'), (expected) =>
    withDescriptor(openOne(folders.found, 'found'), (found) => work({ expected, found })),
  );
}

/** What cannot be read cannot be called equal. */
function reading(comparison: Comparison, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof CodedError) || error.kind !== 'forbidden') throw error;
    differ(comparison, path, 'unreadable', { expected: 'readable', found: error.message });
  }
}

type Fact = readonly [aspect: TreeAspect, of: (attributes: FileAttributes) => string];

const facts: readonly Fact[] = [
  ['type', (a) => a.type],
  ['mode', (a) => a.mode.toString(8)],
  ['owner', (a) => `${a.uid}:${a.gid}`],
  ['mtime', (a) => `${a.mtimeSeconds}s ${a.mtimeNanoseconds}ns`],
  ['device', (a) => (a.type.endsWith('_device') ? `${a.rdevMajor}:${a.rdevMinor}` : '')],
  ['size', (a) => (a.type === 'file' || a.type === 'symlink' ? String(a.sizeBytes) : '')],
];

function compareEntry(comparison: Comparison, path: string, pair: Pair<FileAttributes>): void {
  for (const [aspect, of] of facts) {
    const values = { expected: of(pair.expected), found: of(pair.found) };
    if (values.expected !== values.found) differ(comparison, path, aspect, values);
  }
  compareBlocks(comparison, path, pair);
  const groups = {
    expected: groupOf(comparison.groups.expected, path, pair.expected),
    found: groupOf(comparison.groups.found, path, pair.found),
  };
  if (groups.expected !== groups.found) differ(comparison, path, 'links', groups);
}

/** Only where the expected file is sparse: elsewhere allocation is the file system's business. */
function compareBlocks(comparison: Comparison, path: string, { expected, found }: Pair<FileAttributes>): void {
  if (expected.type !== 'file' || found.type !== 'file' || expected.blocks * 512 >= expected.sizeBytes) return;
  const allowed = Math.max(expected.blocks * blockTolerance, blockSlack);
  if (Math.abs(expected.blocks - found.blocks) <= allowed) return;
  differ(comparison, path, 'blocks', { expected: String(expected.blocks), found: String(found.blocks) });
}

function groupOf(firstPaths: Map<string, string>, path: string, attributes: FileAttributes): string {
  if (attributes.links < 2 || attributes.type === 'directory') return 'alone';
  const inode = `${attributes.device}:${attributes.inode}`;
  const first = firstPaths.get(inode) ?? path;
  firstPaths.set(inode, first);
  return `${attributes.links} names, the first is ${first}`;
}

function compareTargets(comparison: Comparison, path: string, name: Uint8Array, folders: Pair<Descriptor>): void {
  const expected = readLink(folders.expected, name);
  const found = readLink(folders.found, name);
  if (compareNames(expected, found) === 0) return;
  differ(comparison, path, 'target', { expected: printableName(expected), found: printableName(found) });
}

function compareExtendedAttributes(comparison: Comparison, path: string, places: Pair<Descriptor>): void {
  if (comparison.skipped.has('attributes')) return;
  const filter = comparison.options.attributeFilter ?? (() => true);
  const values = {
    expected: describeAttributes(places.expected, filter),
    found: describeAttributes(places.found, filter),
  };
  if (values.expected !== values.found) differ(comparison, path, 'attributes', values);
}

function describeAttributes(fd: Descriptor, filter: (name: string) => boolean): string {
  return listExtendedAttributes(fd)
    .toSorted(compareNames)
    .filter((name) => filter(printableName(name)))
    .map((name) => `${printableName(name)}=${Buffer.from(getExtendedAttribute(fd, name) ?? []).toString('hex')}`)
    .join(' ');
}

/** Byte by byte, except where both have a hole. */
function compareContent(comparison: Comparison, path: string, files: Pair<Descriptor>): void {
  const { buffers } = comparison;
  for (let offset = dataAt(files, 0); offset !== undefined; offset = dataAt(files, offset)) {
    const length = fill(files.expected, buffers.expected, offset);
    const foundLength = fill(files.found, buffers.found, offset);
    const same = Buffer.compare(buffers.expected.subarray(0, length), buffers.found.subarray(0, foundLength)) === 0;
    if (!same) {
      const at = firstDifference(buffers, Math.min(length, foundLength));
      differ(comparison, path, 'content', { expected: `as recorded`, found: `another byte at ${offset + at}` });
      return;
    }
    if (length === 0) return;
    offset += length;
  }
}

function dataAt(files: Pair<Descriptor>, offset: number): number | undefined {
  const expected = nextData(files.expected, offset);
  const found = nextData(files.found, offset);
  if (expected === undefined) return found;
  return found === undefined ? expected : Math.min(expected, found);
}

function fill(fd: Descriptor, into: Uint8Array, offset: number): number {
  let length = 0;
  while (length < into.length) {
    const more = readSync(fd, into, length, into.length - length, offset + length);
    if (more === 0) break;
    length += more;
  }
  return length;
}

function firstDifference(buffers: Pair<Uint8Array>, length: number): number {
  for (let i = 0; i < length; i++) if (buffers.expected[i] !== buffers.found[i]) return i;
  return length;
}
