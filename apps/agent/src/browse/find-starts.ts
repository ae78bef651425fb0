/** Where a search through an archive begins. */
import {
  type DirectoryPlace,
  type MountedVolume,
  namesOfPath,
  type RestoreReader,
  type Row,
  startsWith,
  volumeOf,
  volumesAt,
} from '@holdfast/archive';
import { lookUp } from './look-up.ts';
import { joined } from './path-text.ts';

/** A folder whose entries are looked through, and those below it. */
export type FindStart = {
  readonly place: DirectoryPlace;
  readonly path: Uint8Array;
  /** The commit it is read at. */
  readonly seenAt: number;
  readonly isDeleted: boolean;
};

/** What the pattern itself names: there is nothing to look through. */
type Exact = { readonly row: Row; readonly type: Row['type']; readonly path: Uint8Array; readonly isDeleted: boolean };

/**
 * The folders to begin at. A pattern that begins with `/` names some: the search begins at the last of them before the
 * first `*` or `?`, and needs no right to list those above. Any other begins at every volume, and at `home`.
 */
export async function startsOf(
  reader: RestoreReader,
  pattern: string,
  {
    commit,
    deleted,
    home,
  }: { readonly commit: number; readonly deleted: boolean; readonly home?: Uint8Array | undefined },
): Promise<{ readonly starts: readonly FindStart[]; readonly exact?: Exact }> {
  const seen = { reader, volumes: await volumesAt(reader, commit), commit, deleted };
  const wildAt = pattern.search(/[*?]/);
  if (pattern.startsWith('/') && wildAt < 0) return { starts: [], ...(await exactOf(seen, namesOrNone(pattern))) };
  const named = pattern.startsWith('/') ? namesOrNone(pattern.slice(0, pattern.lastIndexOf('/', wildAt))) : [];
  const further = named.length > 0 ? named : namesOrNone(home);
  return { starts: [...(await rootsBelow(seen, named)), ...(await startAt(seen, further))] };
}

type Seen = {
  readonly reader: RestoreReader;
  readonly volumes: readonly MountedVolume[];
  readonly commit: number;
  readonly deleted: boolean;
};

/** The names of an absolute path; none of anything else. */
function namesOrNone(path: string | Uint8Array | undefined): readonly Uint8Array[] {
  if (path === undefined || path.length === 0) return [];
  try {
    return namesOfPath(Buffer.from(path));
  } catch {
    return [];
  }
}

async function exactOf(seen: Seen, names: readonly Uint8Array[]): Promise<{ readonly exact?: Exact }> {
  const last = names.length === 0 ? undefined : await lookUpPath(seen, names);
  if (!last) return {};
  const { found, isDeleted } = last;
  const row = found.directory ? found.own?.row : found.entry?.row;
  const path = pathOf(names);
  return row ? { exact: { row, type: found.directory ? 'directory' : row.type, path, isDeleted } } : {};
}

async function startAt(seen: Seen, names: readonly Uint8Array[]): Promise<FindStart[]> {
  const last = names.length === 0 ? undefined : await lookUpPath(seen, names);
  const place = last?.found.directory;
  return place ? [{ place, path: pathOf(names), seenAt: last.seenAt, isDeleted: last.isDeleted }] : [];
}

async function lookUpPath({ reader, volumes, ...when }: Seen, names: readonly Uint8Array[]) {
  const held = volumeOf(volumes, names);
  return held && lookUp(reader, [held.volume.identifier, ...held.below], when);
}

/** The roots of the volumes that are mounted below a folder; all of them below no names. */
async function rootsBelow({ reader, volumes, commit }: Seen, names: readonly Uint8Array[]): Promise<FindStart[]> {
  const starts: FindStart[] = [];
  for (const { identifier, mountNames, place } of volumes) {
    const isBelow = startsWith(mountNames, names) && (names.length === 0 || mountNames.length > names.length);
    if (!isBelow || !(await reader.lookup([identifier], commit))) continue;
    starts.push({ place, path: pathOf(mountNames), seenAt: commit, isDeleted: false });
  }
  return starts;
}

function pathOf(names: readonly Uint8Array[]): Uint8Array {
  return names.reduce<Uint8Array>((above, name) => joined(above, name), Buffer.from('/'));
}
