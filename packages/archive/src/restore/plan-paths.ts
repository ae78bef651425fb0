/** From paths of the machine to names of the archive: the root's entries are volumes, each mounted somewhere. */
import { equalBytes } from '../format/cursor.ts';
import { isFileName } from '../format/map-key.ts';
import { type DirectoryPlace, placeOf, rootDirectory } from '../tree/state.ts';
import { restoreErrors } from './errors.ts';
import type { RestoreReader } from './archive-reader.ts';

const slash = 0x2f;
const noName = new Uint8Array(0);

/** A volume of the archive, and where it was mounted last as names of an absolute path. */
export type MountedVolume = {
  readonly identifier: Uint8Array;
  readonly place: DirectoryPlace;
  readonly mountNames: readonly Uint8Array[];
};

/** The names of an absolute path; the root is none. @throws restore.invalid_path */
export function namesOfPath(path: Uint8Array): Uint8Array[] {
  if (path[0] !== slash) throw restoreErrors.invalid_path({ field: 'path' });
  const names: Uint8Array[] = [];
  for (let start = 1; start < path.length;) {
    const end = path.indexOf(slash, start);
    const name = path.slice(start, end < 0 ? path.length : end);
    start += name.length + 1;
    if (name.length === 0 && start >= path.length) break;
    if (!isFileName(name)) throw restoreErrors.invalid_path({ field: 'path' });
    names.push(name);
  }
  return names;
}

/**
 * The volumes that are there at a commit. One whose mount point is missing, not absolute or taken by another lies under
 * its identifier.
 */
export async function volumesAt(reader: RestoreReader, commit: number): Promise<MountedVolume[]> {
  const volumes: MountedVolume[] = [];
  for await (const { name, row } of reader.list(rootDirectory, commit)) {
    const place = placeOf(row);
    if (place === undefined) continue;
    const own = await reader.rowAt(place, noName, commit);
    const mounted = mountNamesOf(own?.row.mountPoint);
    const isFree = mounted && !volumes.some(({ mountNames }) => isSamePath(mountNames, mounted));
    volumes.push({ identifier: name, place, mountNames: isFree ? mounted : [name] });
  }
  return volumes;
}

/** The volume that holds a path, the one mounted deepest, and the names below it. */
export function volumeOf(
  volumes: readonly MountedVolume[],
  names: readonly Uint8Array[],
): { readonly volume: MountedVolume; readonly below: readonly Uint8Array[] } | undefined {
  let found: MountedVolume | undefined;
  for (const volume of volumes) {
    const isDeeper = !found || volume.mountNames.length > found.mountNames.length;
    if (isDeeper && startsWith(names, volume.mountNames)) found = volume;
  }
  return found && { volume: found, below: names.slice(found.mountNames.length) };
}

/** Whether a path lies at or below another. */
export function startsWith(names: readonly Uint8Array[], start: readonly Uint8Array[]): boolean {
  return start.length <= names.length && start.every((name, index) => equalBytes(name, names[index]!));
}

function isSamePath(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && startsWith(a, b);
}

function mountNamesOf(mountPoint: Uint8Array | undefined): Uint8Array[] | undefined {
  if (mountPoint === undefined) return undefined;
  try {
    return namesOfPath(mountPoint);
  } catch {
    return undefined;
  }
}
