/** Writing entries under their temporary names: contents, links, special files, and what belongs to them. */
import { parseRow, type Row } from '../format/row.ts';
import { applyMetadata } from './apply-metadata.ts';
import { restoreErrors } from './errors.ts';
import type { EntryResult, EntryWork, ProvenPieces, RestoreNotes, RestorePolicy } from './messages.ts';
import { placeEntry } from './place-entry.ts';
import type { SpecialNode, Target } from './target.ts';

/** A worker's tools for writing, and where it counts what it could not give. */
export type Writing = {
  readonly target: Target;
  readonly policy: RestorePolicy;
  readonly notes: RestoreNotes;
};

/** Writes a file whose content is one piece. */
export function writeWhole(writing: Writing, directoryFd: number, work: EntryWork, bytes: Uint8Array): EntryResult {
  const { target } = writing;
  const fd = createFile(target, directoryFd, work.temporary);
  try {
    target.write(fd, bytes, 0);
    return finishFile(writing, directoryFd, { work, fd });
  } catch (error) {
    target.remove(directoryFd, work.temporary);
    throw error;
  } finally {
    target.close(fd);
  }
}

/**
 * Pieces come nearly in order: when one reaches beyond a window of this length, the window is about whole. The disk then
 * works while the rest is opened; single pieces would be many small requests.
 */
const syncWindowBytes = 8 * 1024 * 1024;

/** Writes pieces of a file that was begun. */
export function writePart(target: Target, directoryFd: number, part: ProvenPieces['parts'][number]): EntryResult {
  const { entry, temporary, inode, pieces } = part;
  const fd = openTemporary(target, directoryFd, temporary, inode);
  try {
    for (const { position, bytes } of pieces) {
      target.write(fd, bytes, position);
      const windowEnd = Math.floor((position + bytes.length) / syncWindowBytes) * syncWindowBytes;
      if (windowEnd > position) target.beginSync(fd, windowEnd - syncWindowBytes, syncWindowBytes);
    }
  } finally {
    target.close(fd);
  }
  return { entry, status: 'written' };
}

/** Makes the temporary file of a longer content: all of it a hole at first. Returns its inode. */
export function beginFile(target: Target, directoryFd: number, work: EntryWork & { sizeBytes: number }): bigint {
  const fd = createFile(target, directoryFd, work.temporary);
  try {
    target.truncate(fd, work.sizeBytes);
    return target.statDescriptor(fd).inode;
  } catch (error) {
    target.remove(directoryFd, work.temporary);
    throw error;
  } finally {
    target.close(fd);
  }
}

/** Opens a temporary file of this restore again, provided it is still that. @throws restore.temporary_lost */
export function openTemporary(target: Target, directoryFd: number, name: Uint8Array, inode: bigint): number {
  const fd = target.openFile(directoryFd, name, 'write');
  if (fd === undefined) throw restoreErrors.temporary_lost();
  if (target.statDescriptor(fd).inode === inode) return fd;
  target.close(fd);
  throw restoreErrors.temporary_lost();
}

/** Gives an open, whole temporary file its attributes and, where the policy does not gather first, its name. */
export function finishFile(
  writing: Writing,
  directoryFd: number,
  { work, fd }: { readonly work: EntryWork; readonly fd: number },
): EntryResult {
  const { target, policy, notes } = writing;
  if (work.isInherited) target.clearAccessLists(fd);
  applyMetadata(target, fd, { row: parseRow(work.row), xattrs: work.xattrs, policy, notes });
  if (policy.sync === 'file') target.sync(fd);
  const { inode, device } = target.statDescriptor(fd);
  return { entry: work.entry, inode, device, ...nameIt(writing, directoryFd, work) };
}

/** Makes an entry that no record has content of. */
export function makeEntry(
  writing: Writing,
  directoryFd: number,
  work: EntryWork & { readonly sizeBytes: number },
): EntryResult {
  const { target } = writing;
  const row = parseRow(work.row);
  if (row.type === 'file') {
    const inode = beginFile(target, directoryFd, work);
    const fd = openTemporary(target, directoryFd, work.temporary, inode);
    try {
      return finishFile(writing, directoryFd, { work, fd });
    } finally {
      target.close(fd);
    }
  }
  makeNode(target, directoryFd, work.temporary, row);
  const fd = target.openPlace(directoryFd, work.temporary);
  try {
    return finishNode(writing, directoryFd, { work, row, fd });
  } finally {
    target.close(fd);
  }
}

function finishNode(
  writing: Writing,
  directoryFd: number,
  { work, row, fd }: { readonly work: EntryWork; readonly row: Row; readonly fd: number },
): EntryResult {
  const { target, policy, notes } = writing;
  if (work.isInherited && row.type !== 'symlink') target.clearAccessLists(fd);
  applyMetadata(target, fd, { row, xattrs: work.xattrs, policy, notes });
  const { inode, device } = target.statDescriptor(fd);
  return { entry: work.entry, inode, device, ...nameIt(writing, directoryFd, work) };
}

function nameIt({ target, policy }: Writing, directoryFd: number, work: EntryWork): Omit<EntryResult, 'entry'> {
  if (policy.sync === 'batch') return { status: 'written' };
  return placeEntry(target, { directoryFd, name: work.temporary }, work.name, policy.onConflict);
}

function createFile(target: Target, directoryFd: number, name: Uint8Array): number {
  const fd = target.createFile(directoryFd, name);
  if (fd !== undefined) return fd;
  // Left by an earlier run of this restore: nobody else knows the name.
  target.remove(directoryFd, name);
  const again = target.createFile(directoryFd, name);
  if (again === undefined) throw restoreErrors.temporary_lost();
  return again;
}

function makeNode(target: Target, directoryFd: number, name: Uint8Array, row: Row): void {
  target.remove(directoryFd, name);
  if (row.type === 'symlink') {
    if (target.makeSymlink(directoryFd, name, row.target ?? new Uint8Array()) !== 'done') {
      throw restoreErrors.temporary_lost();
    }
    return;
  }
  if (!target.makeSpecial(directoryFd, name, nodeOf(row))) throw restoreErrors.not_permitted({ type: row.type });
}

function nodeOf(row: Row): SpecialNode {
  const { type, device } = row;
  if (type === 'fifo' || type === 'socket') return { type };
  const isDevice = type === 'character_device' || type === 'block_device';
  if (!isDevice || device === undefined) throw restoreErrors.not_permitted({ type });
  return { type, ...device };
}
