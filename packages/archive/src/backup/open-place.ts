import { joinPath } from './bytes.ts';
import type { DirectoryPlace } from './messages.ts';
import type { Source } from './source.ts';

/** Opens a directory name by name, so that nobody can lead the way elsewhere, for as long as `work` runs. */
export function withPlace<T>(source: Source, place: DirectoryPlace, work: (fd: number) => T): T {
  let fd = source.openDirectory(place.mountPoint);
  try {
    for (const name of place.names) {
      const child = source.openChildDirectory(fd, name);
      source.close(fd);
      fd = child;
    }
    return work(fd);
  } finally {
    source.close(fd);
  }
}

/** The absolute path of a directory. */
export function pathOfPlace(place: DirectoryPlace): Uint8Array {
  return place.names.reduce((path, name) => joinPath(path, name), place.mountPoint);
}
