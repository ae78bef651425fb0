/** Moves backwards: from where bytes lie now to the places where rows look for them. */
import { equalBytes } from '../format/cursor.ts';
import { type Extent, parseMove } from '../format/extent.ts';
import { keySpaces, parseMapKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { ArchiveState } from '../tree/state.ts';

/** Where a row or a move looks for bytes. */
export type Place = Pick<Extent, 'ordinal' | 'offset'>;

/** The moves that lead to some records, by where they lead. */
export type MoveSources = ReadonlyMap<string, readonly { readonly from: Place; readonly to: Extent }[]>;

/** A text that is one place's alone. */
export function nameOf({ ordinal, offset }: Place): string {
  return `${ordinal} ${offset}`;
}

/** Finds the moves that lead to these records. @throws what loading the state throws */
export async function sourcesOf(
  state: ArchiveState,
  ordinals: Pick<ReadonlySet<Ordinal>, 'has'>,
): Promise<MoveSources> {
  const sources = new Map<string, { from: Place; to: Extent }[]>();
  for await (const { key, value } of state.range(Uint8Array.of(keySpaces.moves), Uint8Array.of(keySpaces.moves + 1))) {
    const to = parseMove(value);
    const from = parseMapKey(key);
    if (!ordinals.has(to.ordinal) || from.space !== 'moves') continue;
    const same = sources.get(nameOf(to)) ?? [];
    same.push({ from, to: { ...to, sha256: to.sha256.slice() } });
    sources.set(nameOf(to), same);
  }
  return sources;
}

/** What leads to these bytes, also by way of what is moved itself. A move to another length or hash does not count. */
export function leadingTo(sources: MoveSources, extent: Extent): readonly Place[] {
  const found = new Map<string, Place>();
  const open: Place[] = [extent];
  for (let at = open.pop(); at; at = open.pop()) {
    for (const { from, to } of sources.get(nameOf(at)) ?? []) {
      const isOfThese = to.length === extent.length && equalBytes(to.sha256, extent.sha256);
      if (!isOfThese || found.has(nameOf(from))) continue;
      found.set(nameOf(from), from);
      open.push(from);
    }
  }
  return [...found.values()];
}
