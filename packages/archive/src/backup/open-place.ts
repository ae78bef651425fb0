import { joinPath, namesOf } from './bytes.ts';
import { backupErrors } from './errors.ts';
import type { DirectoryPlace, MountedRoot } from './messages.ts';
import { emptySourceAttributes, type Source } from './source.ts';

/**
 * Opens a directory name by name, following no link, for as long as `work` runs.
 *
 * The root of the volume is opened in the same way and must be the one that was found: whoever may rename a folder above
 * a mount point, or unmount it, leads nobody elsewhere.
 *
 * @throws backup.volume_gone when something else is at the mount point
 */
export function withPlace<T>(source: Source, { root, names }: DirectoryPlace, work: (fd: number) => T): T {
  let fd = openDirectly(source, root.mountPoint);
  try {
    const { device, inode } = source.statDescriptor(fd, emptySourceAttributes());
    if (device !== root.device || inode !== root.inode) throw backupErrors.volume_gone();
    for (const name of names) {
      const child = source.openChildDirectory(fd, name);
      source.close(fd);
      fd = child;
    }
    return work(fd);
  } finally {
    source.close(fd);
  }
}

/** Opens an absolute path from the root on, following no link; the caller closes it. */
export function openDirectly(source: Source, path: Uint8Array): number {
  let fd = source.openDirectory(Buffer.from('/'));
  try {
    for (const name of namesOf(path)) {
      const child = source.openChildDirectory(fd, name);
      source.close(fd);
      fd = child;
    }
    return fd;
  } catch (error) {
    source.close(fd);
    throw error;
  }
}

/** The root of the volume that is mounted at a path now, provided that it is the one with this identifier. */
export function mountedRoot(source: Source, mountPoint: Uint8Array, identifier: string): MountedRoot | undefined {
  const fd = openDirectly(source, mountPoint);
  try {
    const { device, inode } = source.statDescriptor(fd, emptySourceAttributes());
    return source.volumeOf(fd).identifier === identifier ? { mountPoint, device, inode } : undefined;
  } finally {
    source.close(fd);
  }
}

/** The absolute path of a directory. */
export function pathOfPlace({ root, names }: DirectoryPlace): Uint8Array {
  return names.reduce((path, name) => joinPath(path, name), root.mountPoint);
}
