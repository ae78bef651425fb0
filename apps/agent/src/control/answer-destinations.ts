import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { maxDestinations } from '@holdfast/archive';
import type { AgentParts } from '../agent.ts';
import { isBoundTo } from '../destinations/bindings.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { archiveFolderIn, prepareFolder } from '../destinations/folder-place.ts';
import { isPathAtOrBelow } from '../sets/backup-set.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { openAnew } from './open-anew.ts';

/** `destination.list`. */
export function answerDestinationList({ destinations, archive }: AgentParts): object {
  return {
    destinations: destinations.configs.map((config) => ({
      name: config.name,
      kind: config.kind,
      ...(config.folder !== undefined && { archiveFolder: archiveFolderIn(config.folder, archive.archiveId) }),
      ...standingOf(destinations.standingOf(config.destinationId)),
    })),
  };
}

function standingOf(standing: ReturnType<AgentParts['destinations']['standingOf']>): object {
  if (!('error' in standing)) return standing;
  const { code, message } = standing.error;
  return { status: standing.status, code, reason: message };
}

/**
 * `destination.add`: a folder that is there. Where it lies inside a protected folder it is left out of the backup, and
 * the answer says so; where a protected folder lies inside it, it is refused.
 */
export async function answerDestinationAdd(parts: AgentParts, { folder }: { folder: string }): Promise<object> {
  const { database, archive, destinations, makePlace, protector, stateDir } = parts;
  const real = await realFolder(folder);
  if (isPathAtOrBelow(real, stateDir)) throw destinationErrors.is_state({ field: 'folder', folder: real });
  if (destinations.configs.some((config) => config.folder === real)) {
    throw destinationErrors.known({ field: 'folder', folder: real });
  }
  if (destinations.configs.length >= maxDestinations) throw destinationErrors.too_many({ most: maxDestinations });
  const sets = database.sets();
  const covered = sets.find(({ includes }) => includes.some((include) => isPathAtOrBelow(include, real)));
  if (covered) throw destinationErrors.covers_set({ field: 'folder', folder: real, set: covered.name });
  await prepareFolder(real, archive.archiveId);
  await protector.exclusive(
    async () => {
      destinations.add(makePlace(database.addDestination({ kind: 'folder', name: real, folder: real })));
    },
    { isWholeNeeded: true },
  );
  const inside = sets.filter(({ includes }) => includes.some((include) => isPathAtOrBelow(real, include)));
  return {
    name: real,
    archiveFolder: archiveFolderIn(real, archive.archiveId),
    excludedFromSets: inside.map(({ name }) => name),
  };
}

async function realFolder(folder: string): Promise<string> {
  if (!path.isAbsolute(folder)) throw destinationErrors.not_a_folder({ field: 'folder', folder });
  try {
    return await realpath(folder);
  } catch (error) {
    throw destinationErrors.not_a_folder({ field: 'folder', folder }, error);
  }
}

/** What `destination.remove` is given. */
export type DestinationRemoval = {
  readonly name: string;
  /** Whoever asks knows that what it held is gone for good: the others go on without it. */
  readonly isGone?: boolean | undefined;
};

/**
 * `destination.remove`: nothing there is deleted. The last one that has all of the archive, or of a set, stays; unless it
 * is not to be had, and whoever asks says that it is gone for good.
 */
export async function answerDestinationRemove(parts: AgentParts, removal: DestinationRemoval): Promise<object> {
  const { database, destinations, protector, branches } = parts;
  const { name } = removal;
  const config = destinations.configs.find((each) => each.name === name);
  if (!config) throw destinationErrors.not_found({ field: 'name', name });
  await protector.exclusive(
    async () => {
      const only = database.sets().find((set) => set.destinations?.length === 1 && isBoundTo(set, name));
      if (only) {
        const remedy = `holdfast set change "${only.name}" --destination NAME`;
        throw destinationErrors.only_of_set({ name, set: only.name, remedy });
      }
      await expectDispensable(parts, config, removal.isGone === true);
      for (const set of database.sets()) {
        const left = set.destinations?.filter((each) => each !== name);
        if (left && left.length < set.destinations!.length) database.changeSet({ ...set, destinations: left });
      }
      await destinations.remove(config.destinationId);
      database.removeDestination(config.destinationId);
      branches.forget(config.destinationId);
    },
    { isWholeNeeded: true },
  );
  return { removed: name };
}

/**
 * Judges by what is there at this moment: what was last known of destinations may be long ago. A server cannot say whether
 * it still is what was opened, if it is there at all: it is opened anew.
 */
async function expectDispensable(parts: AgentParts, config: DestinationConfig, isGone: boolean): Promise<void> {
  const { destinations } = parts;
  await openAnew(parts);
  if (!isNeeded(parts, config)) return;
  const isThere = destinations.standingOf(config.destinationId).status === 'ready';
  if (isGone && !isThere) return;
  const wait = 'add another destination and wait until it is protected';
  const give = `if it is gone for good, with what only it held: holdfast destination remove ${JSON.stringify(config.name)} --gone`;
  throw destinationErrors.only_copy({ name: config.name, remedy: isThere ? wait : `${wait}; ${give}` });
}

function isNeeded({ destinations, archive }: AgentParts, config: DestinationConfig): boolean {
  const others = destinations.configs.filter((each) => each !== config);
  const isElsewhere = others.some(({ destinationId }) => destinations.standingOf(destinationId).status === 'ready');
  return archive.index.head().number > 0 && (!isElsewhere || destinations.sets.isOnlyHolder(config));
}
