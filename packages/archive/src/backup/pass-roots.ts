/** Where a pass begins: the volumes that hold the includes, and the way from each volume's root to them. */
import { CodedError } from '@holdfast/base';
import { compareBytes, joinPath, namesOf } from './bytes.ts';
import { backupErrors } from './errors.ts';
import type { MountedRoot } from './messages.ts';
import { mountedRoot } from './open-place.ts';
import { isAtOrBelow } from './selection.ts';
import { emptySourceAttributes, type Source } from './source.ts';

/** A volume to be looked at, and which paths on it. */
export type RootVolume = {
  readonly identifier: string;
  readonly root: MountedRoot;
  /** Includes on it that are there. */
  readonly includes: readonly Uint8Array[];
  /** Includes whose place is on it and that cannot be seen just now: nothing about them changes. */
  readonly missing: readonly Uint8Array[];
};

/** An include that is not there: an unmounted volume, or a folder that is gone. */
export type MissingInclude = { readonly path: Uint8Array; readonly reason: 'missing' | 'virtual' };

/** Finds the volumes of all includes. */
export function findRoots(
  source: Source,
  includes: readonly Uint8Array[],
): { volumes: RootVolume[]; missing: MissingInclude[] } {
  const volumes = new Map<
    string,
    { identifier: string; root: MountedRoot; includes: Uint8Array[]; missing: Uint8Array[] }
  >();
  const missing: MissingInclude[] = [];
  for (const path of includes) {
    const found = locate(source, path);
    if (found.isVirtual) {
      missing.push({ path, reason: 'virtual' });
      continue;
    }
    const key = `${found.identifier}\0${Buffer.from(found.root.mountPoint).toString('latin1')}`;
    let volume = volumes.get(key);
    if (!volume) volumes.set(key, (volume = { ...found, includes: [], missing: [] }));
    if (found.isThere) volume.includes.push(path);
    else {
      volume.missing.push(path);
      missing.push({ path, reason: 'missing' });
    }
  }
  return { volumes: [...volumes.values()], missing };
}

/** What a walk looks at in a directory on the way: the names that lead to includes, and those that stay as they were. */
export function namesOnTheWay(
  volume: RootVolume,
  path: Uint8Array,
): { only: Uint8Array[]; kept: Uint8Array[] } | undefined {
  if (volume.includes.some((include) => isAtOrBelow(path, include))) return undefined;
  const depth = namesOf(path).length;
  const below = (paths: readonly Uint8Array[]) => {
    const names = paths.filter((include) => isAtOrBelow(include, path)).map((include) => namesOf(include)[depth]!);
    return names.toSorted(compareBytes).filter((name, at, all) => at === 0 || compareBytes(name, all[at - 1]!) !== 0);
  };
  const only = below(volume.includes);
  return { only, kept: below(volume.missing).filter((name) => !only.some((other) => compareBytes(other, name) === 0)) };
}

function locate(source: Source, path: Uint8Array) {
  // The deepest directory on the path that is there says which volume the path belongs to. Links are not followed.
  let fd = source.openDirectory(Buffer.from('/'));
  let at: Uint8Array = Buffer.from('/');
  let isThere = true;
  try {
    for (const name of namesOf(path)) {
      const attributes = source.statAt(fd, name, emptySourceAttributes());
      const next = joinPath(at, name);
      if (attributes?.type !== 'directory') {
        isThere = attributes !== undefined && next.length === path.length;
        break;
      }
      const child = openIfThere(source, fd, name);
      if (child === undefined) {
        isThere = false;
        break;
      }
      source.close(fd);
      fd = child;
      at = next;
    }
    const { identifier, mountPoint, isVirtual } = source.volumeOf(fd);
    const root = mountedRoot(source, mountPoint, identifier);
    if (!root) throw backupErrors.volume_gone();
    return { identifier, root, isVirtual, isThere };
  } finally {
    source.close(fd);
  }
}

function openIfThere(source: Source, fd: number, name: Uint8Array): number | undefined {
  try {
    return source.openChildDirectory(fd, name);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
