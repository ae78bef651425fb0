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
import { joined } from './path-text.ts';

/** A folder whose entries are looked through, and those below it. */
export type FindStart = { readonly place: DirectoryPlace; readonly path: Uint8Array };

/** What the pattern itself names: there is nothing to look through. */
type Exact = { readonly row: Row; readonly type: Row['type']; readonly path: Uint8Array };

/**
 * The folders to begin at. A pattern that begins with `/` names some: the search begins at the last of them before the
 * first `*` or `?`, and needs no right to list those above. Any other begins at every volume, and at `home`.
 */
export async function startsOf(
  reader: RestoreReader,
  pattern: string,
  { commit, home }: { readonly commit: number; readonly home?: Uint8Array | undefined },
): Promise<{ readonly starts: readonly FindStart[]; readonly exact?: Exact }> {
  const seen = { reader, volumes: await volumesAt(reader, commit), commit };
  const wildAt = pattern.search(/[*?]/);
  if (pattern.startsWith('/') && wildAt < 0) return { starts: [], ...(await exactOf(seen, namesOrNone(pattern))) };
  const named = pattern.startsWith('/') ? namesOrNone(pattern.slice(0, pattern.lastIndexOf('/', wildAt))) : [];
  const further = named.length > 0 ? named : namesOrNone(home);
  return { starts: [...(await rootsBelow(seen, named)), ...(await startAt(seen, further))] };
}

type Seen = { readonly reader: RestoreReader; readonly volumes: readonly MountedVolume[]; readonly commit: number };

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
  const found = names.length === 0 ? undefined : await lookUp(seen, names);
  const row = found?.directory ? found.own?.row : found?.entry?.row;
  return row ? { exact: { row, type: found?.directory ? 'directory' : row.type, path: pathOf(names) } } : {};
}

async function startAt(seen: Seen, names: readonly Uint8Array[]): Promise<FindStart[]> {
  const place = names.length === 0 ? undefined : (await lookUp(seen, names))?.directory;
  return place ? [{ place, path: pathOf(names) }] : [];
}

async function lookUp({ reader, volumes, commit }: Seen, names: readonly Uint8Array[]) {
  const held = volumeOf(volumes, names);
  return held && reader.lookup([held.volume.identifier, ...held.below], commit);
}

/** The roots of the volumes that are mounted below a folder; all of them below no names. */
async function rootsBelow({ reader, volumes, commit }: Seen, names: readonly Uint8Array[]): Promise<FindStart[]> {
  const starts: FindStart[] = [];
  for (const { identifier, mountNames, place } of volumes) {
    const isBelow = startsWith(mountNames, names) && (names.length === 0 || mountNames.length > names.length);
    if (isBelow && (await reader.lookup([identifier], commit))) starts.push({ place, path: pathOf(mountNames) });
  }
  return starts;
}

function pathOf(names: readonly Uint8Array[]): Uint8Array {
  return names.reduce<Uint8Array>((above, name) => joined(above, name), Buffer.from('/'));
}
