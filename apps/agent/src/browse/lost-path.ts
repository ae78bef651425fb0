/** Paths that somebody asked for and that are not there. */
import { namesOfPath, type RestoreReader, startsWith, volumeOf, volumesAt } from '@holdfast/archive';

/** A path of which nothing is there at a commit, and whether something was there before. */
export type LostPath = { readonly path: Uint8Array; readonly wasThere: boolean };

/** The first of some paths of which nothing is there; with `deleted`, of which nothing ever was until then. */
export async function findLostPath(
  reader: RestoreReader,
  paths: readonly Uint8Array[],
  { commit, deleted }: { readonly commit: number; readonly deleted: boolean },
): Promise<LostPath | undefined> {
  const volumes = await volumesAt(reader, commit);
  for (const path of paths) {
    const names = namesOfPath(path);
    if (volumes.some(({ mountNames }) => startsWith(mountNames, names))) continue;
    const held = volumeOf(volumes, names);
    const inside = held && [held.volume.identifier, ...held.below];
    if (inside && (await reader.lookup(inside, commit))) continue;
    const wasThere = inside !== undefined && (await reader.history(inside)).some(({ from }) => from <= commit);
    if (!wasThere || !deleted) return { path, wasThere };
  }
  return undefined;
}

/** How many folders lie on the way to some paths: above one of them, and neither one of them nor below one. */
export function foldersOnTheWay(paths: readonly Uint8Array[]): ReadonlySet<string> {
  const all = paths.map(namesOfPath);
  const onTheWay = all.flatMap((names) =>
    names
      .map((_, depth) => names.slice(0, depth))
      .filter((above) => above.length > 0 && !all.some((asked) => startsWith(above, asked))),
  );
  return new Set(onTheWay.map(keyOf));
}

/** A relative path as `foldersOnTheWay` names it. */
export function wayKey(relative: Uint8Array): string {
  return Buffer.from(relative).toString('latin1');
}

function keyOf(names: readonly Uint8Array[]): string {
  return names.map(wayKey).join('/');
}
