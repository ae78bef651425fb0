import { type Archive } from './archive.ts';
import { childrenAt, type DirectoryRef, directoryOf, ownRow } from './directories.ts';

/** A place in the tree of mounts: the volume there, if any, and the places below it by name (latin1). */
export type Mount = { volume: DirectoryRef | undefined; readonly below: Map<string, Mount> };

type Volume = { readonly identifier: Buffer; readonly root: DirectoryRef; readonly mountedAt: Buffer | undefined };

/**
 * Lays the volumes of a commit out below one root, each under the path it was mounted at last (§14).
 *
 * A volume without an absolute path, or whose path another has taken, goes under its identifier.
 */
export function layOutVolumes(archive: Archive, commit: number): Mount {
  const root: Mount = { volume: undefined, below: new Map() };
  for (const volume of listVolumes(archive, commit)) {
    const parts = volume.mountedAt === undefined ? undefined : pathParts(volume.mountedAt);
    if (parts !== undefined && place(root, parts, volume.root)) continue;
    const placed = place(root, [volume.identifier.toString('latin1')], volume.root);
    archive.findings.add({
      severity: placed ? 'notice' : 'loss',
      code: placed ? 'volume.under_identifier' : 'volume.no_place',
      message: placed
        ? 'a volume has no path of its own and is put under its identifier'
        : 'two volumes have one identifier',
      path: volume.identifier,
    });
  }
  return root;
}

function listVolumes(archive: Archive, commit: number): readonly Volume[] {
  const volumes: Volume[] = [];
  for (const child of childrenAt(archive, { number: 0, since: 0 }, commit)) {
    const root = 'row' in child ? directoryOf(child.row) : undefined;
    if (root === undefined) {
      archive.findings.add({
        severity: 'loss',
        code: 'volume.unreadable',
        message: 'an entry of the root is no volume that can be read',
        path: child.name,
      });
      continue;
    }
    volumes.push({ identifier: child.name, root, mountedAt: ownRow(archive, root, commit)?.mountedAt });
  }
  return volumes;
}

function place(root: Mount, parts: readonly string[], volume: DirectoryRef): boolean {
  let at = root;
  for (const part of parts) {
    const below = at.below.get(part) ?? { volume: undefined, below: new Map() };
    at.below.set(part, below);
    at = below;
  }
  if (at.volume !== undefined) return false;
  at.volume = volume;
  return true;
}

/** The names of an absolute path, as latin1; undefined where it is none or would lead upwards. */
export function pathParts(path: Buffer): readonly string[] | undefined {
  const plain = path.toString('latin1');
  if (!plain.startsWith('/') || plain.includes('\0')) return undefined;
  const parts = plain.split('/').filter((part) => part !== '');
  return parts.includes('..') || parts.includes('.') ? undefined : parts;
}
