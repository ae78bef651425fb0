/** What the archive says of its backup sets and of its newest commit, before anything is taken over. */
import {
  ArchiveState,
  commitChain,
  deriveKeyRing,
  factsOf,
  loaderOf,
  millisecondsOf,
  newestCommit,
  NodeCache,
  parseSetSetting,
  settingsKey,
} from '@holdfast/archive';
import { BackupSet, type NumberedSet } from '../sets/backup-set.ts';
import type { CloudShelf } from './cloud-shelf.ts';
import type { OpenedRing } from './open-ring.ts';

/** The newest state, as far as a person wants to know. */
export type ArchiveContents = {
  readonly sets: readonly NumberedSet[];
  /** Names of sets that this version cannot read: they do not come along. */
  readonly unreadSets: readonly string[];
  /** Undefined before the first commit. */
  readonly head: { readonly number: number; readonly atMs: number } | undefined;
};

/**
 * Reads the backup sets and the newest commit; nothing of the files.
 *
 * @throws archive.record_missing and others, where the newest state cannot be read
 */
export async function readContents(
  shelf: CloudShelf,
  archiveId: Uint8Array,
  { ring, keyring }: Pick<OpenedRing, 'ring' | 'keyring'>,
): Promise<ArchiveContents> {
  const openKeys = { archiveId, ring: deriveKeyRing(archiveId, ring.epochs) };
  const newest = await newestCommit(shelf, { archiveId, writers: keyring.writers });
  if (!newest) return { sets: [], unreadSets: [], head: undefined };
  const facts = (await commitChain(shelf, newest)).map(({ record }) => factsOf(record, openKeys));
  const [first, last] = [facts[0]!, facts.at(-1)!];
  const cache = new NodeCache(loaderOf((ordinals) => shelf.read(ordinals), openKeys));
  const state = new ArchiveState(cache, first.root && { checkpoint: first, root: first.root });
  for (const commit of first.root ? facts.slice(1) : facts) state.apply(commit);
  const head = { number: last.number, atMs: millisecondsOf(last.time) };
  return { ...(await setsOf(state)), head };
}

/** The character behind the slash: what begins with the name of a set lies before it. */
const [from, until] = [settingsKey('set/'), settingsKey('set0')];

async function setsOf(state: ArchiveState): Promise<Pick<ArchiveContents, 'sets' | 'unreadSets'>> {
  const sets: NumberedSet[] = [];
  const unreadSets: string[] = [];
  for await (const { key, value } of state.range(from, until)) {
    const number = Number(Buffer.from(key.subarray(from.length)).toString());
    const { name, definition, destinations } = parseSetSetting(value);
    const bound = destinations && destinations.length > 0 ? { destinations } : {};
    const set = BackupSet.safeParse({ ...asObject(definition), name, ...bound });
    if (set.success && Number.isSafeInteger(number) && number > 0) sets.push({ ...set.data, number });
    else unreadSets.push(name);
  }
  return { sets: sets.toSorted((a, b) => a.number - b.number), unreadSets };
}

function asObject(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
