import type { FoundPath, RestoreReader } from '@holdfast/archive';

/** What is at a path, and the commit at which it is to be read. */
export type SeenPath = { readonly found: FoundPath; readonly seenAt: number; readonly isDeleted: boolean };

/** What some names (the first is a volume) lead to; with `deleted`, where nothing is there any more, what was there last. */
export async function lookUp(
  reader: RestoreReader,
  names: readonly Uint8Array[],
  { commit, deleted }: { readonly commit: number; readonly deleted: boolean },
): Promise<SeenPath | undefined> {
  const found = await reader.lookup(names, commit);
  if (found) return { found, seenAt: commit, isDeleted: false };
  if (!deleted) return undefined;
  const last = (await reader.history(names)).findLast(({ from }) => from <= commit);
  if (!last) return undefined;
  const seenAt = Math.min(last.until - 1, commit);
  const before = await reader.lookup(names, seenAt);
  return before && { found: before, seenAt, isDeleted: true };
}
