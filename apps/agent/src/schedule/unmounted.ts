/** Volumes of the archive that are not mounted just now: what lies in their place is not what they hold. */
import { opendirSync } from 'node:fs';
import { type ArchiveState, placeOf, rootDirectory, type SelectedSet } from '@holdfast/archive';
import { listMounts, type Mount } from '../filesystem/index.ts';
import { isPathAtOrBelow } from '../sets/backup-set.ts';

/**
 * Where volumes of the archive were mounted last and nothing is mounted now. A folder with something in it is left out:
 * its files have moved to the file system that is there, and are looked at.
 */
export async function unmountedPlaces(
  state: ArchiveState,
  mounts: readonly Mount[] = listMounts(),
): Promise<readonly Uint8Array[]> {
  const mounted = new Set(mounts.map(({ mountPoint }) => keyOf(mountPoint)));
  const places = new Map<string, Uint8Array>();
  for await (const { row } of state.list(rootDirectory, state.head)) {
    const place = placeOf(row);
    const mountPoint = place && (await state.rowAt(place, new Uint8Array(), state.head))?.row.mountPoint;
    if (mountPoint && !mounted.has(keyOf(mountPoint)) && isBare(mountPoint)) places.set(keyOf(mountPoint), mountPoint);
  }
  return [...places.values()];
}

/** The sets without the includes that lie on a volume that is not mounted, and those includes. */
export function withoutUnmounted(
  sets: readonly SelectedSet[],
  unmounted: readonly Uint8Array[],
): { readonly sets: readonly SelectedSet[]; readonly away: readonly string[] } {
  const isAway = (include: string) =>
    unmounted.some((place) => isPathAtOrBelow(include, Buffer.from(place).toString()));
  const away = sets.flatMap(({ includes }) => includes.filter(isAway));
  const present = sets.map((set) => ({ ...set, includes: set.includes.filter((include) => !isAway(include)) }));
  return { sets: present, away: [...new Set(away)] };
}

/** Whether nothing is in a folder, or it cannot be looked into: then it may well be a bare mount point. */
function isBare(path: Uint8Array): boolean {
  try {
    const folder = opendirSync(Buffer.from(path));
    try {
      return folder.readSync() === null;
    } finally {
      folder.closeSync();
    }
  } catch {
    return true;
  }
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}
