/** The files of Linux as the engine's restore needs them: everything relative to open directories, nothing followed. */
import { constants, fsyncSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import type { NameOutcome, SpecialNode, Target, TargetPlace, TargetTime } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import {
  asFileError,
  closeDescriptor,
  createFile,
  dataRanges,
  type Descriptor,
  makeDirectory,
  makeHardLink,
  makeSpecialFile,
  makeSymlink,
  openChildDirectory,
  openPlace,
  readDirectory,
  readLink,
  removeEntry,
  removeExtendedAttribute,
  renameEntry,
  reopen,
  setExtendedAttribute,
  setMode,
  setOwner,
  setTimes,
  statAt,
  statDescriptor,
} from '../filesystem/index.ts';
import { beginSync, syncFileSystem } from './sync-file-system.ts';

/** The target of one thread. */
export function createLinuxTarget(): Target {
  return {
    openDirectory: openChildDirectory,
    statAt: (directoryFd, name) => unless(tooLong, undefined, () => statAt(directoryFd, name)),
    statDescriptor: (fd) => statDescriptor(fd),
    isEmpty: (directoryFd) => readDirectory(directoryFd).count === 0,
    makeDirectory: (directoryFd, name) => named(() => makeDirectory(directoryFd, name, 0o700)),
    createFile: (directoryFd, name) => unless(taken, undefined, () => createFile(directoryFd, name, 0o600)),
    openFile,
    makeSymlink: (directoryFd, name, target) => named(() => makeSymlink(target, directoryFd, name)),
    readLink,
    makeSpecial: (directoryFd, name, node) => allowed(() => makeNode(directoryFd, name, node)),
    makeLink: (from, to) =>
      allowed(() => makeHardLink(from.directoryFd, from.name, to.directoryFd, to.name), unlinkable),
    rename,
    remove: (directoryFd, name) => unless(missing, undefined, () => removeEntry(directoryFd, name)),
    openPlace,
    read: (fd, into, position) => throughNode(() => readSync(fd, into, 0, into.length, position)),
    dataRanges,
    write,
    truncate: (fd, sizeBytes) => throughNode(() => ftruncateSync(fd, sizeBytes)),
    beginSync,
    setOwner: giveOwner,
    setMode: (fd, mode) => allowed(() => setMode(fd, mode)),
    setTime: (fd, modifiedAt) => allowed(() => setTimes(fd, timesOf(modifiedAt))),
    setAttribute: (fd, name, value) => allowed(() => setExtendedAttribute(fd, name, value), unsettable),
    clearAccessLists,
    sync: (fd) => throughNode(() => fsyncSync(fd)),
    syncFileSystem,
    close: closeDescriptor,
  };
}

const tooLong: readonly string[] = ['files.name_too_long'];
const taken: readonly string[] = ['files.exists'];
const missing: readonly string[] = ['files.not_found', 'files.name_too_long'];
const refused: readonly string[] = ['files.permission_denied', 'files.unsupported', 'files.invalid_argument'];
const unlinkable: readonly string[] = [...refused, 'files.cross_device', 'files.too_many_links'];
/** A value that its file system has no room for is no full disk. */
const unsettable: readonly string[] = [...refused, 'files.too_large', 'files.disk_full'];
const directoryInTheWay: readonly string[] = [
  'files.exists',
  'files.is_directory',
  'files.not_empty',
  'files.not_directory',
];

function codeOf(error: unknown): string {
  if (!(error instanceof CodedError)) throw error;
  return error.code;
}

function unless<T, U>(codes: readonly string[], answer: U, work: () => T): T | U {
  try {
    return work();
  } catch (error) {
    if (codes.includes(codeOf(error))) return answer;
    throw error;
  }
}

function allowed(work: () => void, codes: readonly string[] = refused): boolean {
  return unless(codes, false, () => {
    work();
    return true;
  });
}

/** A name the file system cannot hold: too long, or (EINVAL, EILSEQ) of characters it does not have. */
function isBadName(error: unknown): boolean {
  const code = codeOf(error);
  if (code === 'files.name_too_long' || code === 'files.invalid_argument') return true;
  return (error as CodedError).details['errno'] === 'EILSEQ';
}

function named(work: () => void, inTheWay: readonly string[] = taken): NameOutcome {
  try {
    work();
    return 'done';
  } catch (error) {
    if (inTheWay.includes(codeOf(error))) return 'exists';
    if (isBadName(error)) return 'bad_name';
    throw error;
  }
}

/** First the place, then what is there, and only if it is a regular file: nothing else is ever opened. */
function openFile(directoryFd: Descriptor, name: Uint8Array, access: 'read' | 'write'): Descriptor | undefined {
  const place = unless(missing, undefined, () => openPlace(directoryFd, name));
  if (place === undefined) return undefined;
  try {
    if (statDescriptor(place).type !== 'file') return undefined;
    const flags = access === 'read' ? constants.O_RDONLY : constants.O_RDWR;
    // What may not be read cannot be compared: for a restore it is another file.
    return unless(['files.permission_denied'], undefined, () => reopen(place, flags));
  } finally {
    closeDescriptor(place);
  }
}

function makeNode(directoryFd: Descriptor, name: Uint8Array, node: SpecialNode): void {
  makeSpecialFile(directoryFd, name, 0o600, node);
}

function rename(from: TargetPlace, to: TargetPlace, over: 'keep' | 'replace'): NameOutcome {
  if (over === 'replace') return named(() => renameEntry(from, to, 'replace'), directoryInTheWay);
  const outcome = named(() => renameEntry(from, to, 'keep'));
  if (outcome !== 'bad_name' || statAtOrNone(to) !== undefined) return outcome;
  return keepWithoutFlag(from, to);
}

function statAtOrNone(place: TargetPlace) {
  return unless(tooLong, undefined, () => statAt(place.directoryFd, place.name));
}

/** EINVAL may also mean that the file system has no rename that keeps: a link does the same, where it has links. */
function keepWithoutFlag(from: TargetPlace, to: TargetPlace): NameOutcome {
  try {
    makeHardLink(from.directoryFd, from.name, to.directoryFd, to.name);
  } catch (error) {
    if (taken.includes(codeOf(error))) return 'exists';
    if (!unlinkable.includes(codeOf(error))) return named(() => rethrow(error));
    return named(() => renameEntry(from, to, 'replace'), directoryInTheWay);
  }
  removeEntry(from.directoryFd, from.name);
  return 'done';
}

function rethrow(error: unknown): never {
  throw error;
}

function write(fd: Descriptor, bytes: Uint8Array, position: number): void {
  throughNode(() => {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
  });
}

/** Whoever may not give a file away may still give it to a group of theirs. */
function giveOwner(fd: Descriptor, uid: number, gid: number): boolean {
  if (allowed(() => setOwner(fd, uid, gid))) return true;
  allowed(() => setOwner(fd, unchangedOwner, gid));
  return false;
}

const unchangedOwner = 0xffff_ffff;
/** `UTIME_OMIT` of sys/stat.h: the access time stays. */
const omitted = 0x3fff_fffe;

function timesOf({ seconds, nanoseconds }: TargetTime) {
  return { atimeSeconds: 0, atimeNanoseconds: omitted, mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds };
}

const accessLists = ['system.posix_acl_access', 'system.posix_acl_default'].map((name) =>
  new TextEncoder().encode(name),
);
const noSuchList: readonly string[] = [...refused, 'files.attribute_missing'];

function clearAccessLists(fd: Descriptor): void {
  for (const name of accessLists) unless(noSuchList, undefined, () => removeExtendedAttribute(fd, name));
}

function throughNode<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asFileError(error);
  }
}
