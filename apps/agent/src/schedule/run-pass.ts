/** One pass of the engine over this device's sets, to the destinations that are ready; and what the archive says of sets. */
import {
  type BackupReport,
  type BackupRequest,
  type CommitClock,
  type ExclusionRule,
  type LookedAt,
  type LostDestination,
  type MapEntry,
  runBackup,
  setSetting,
  type Source,
} from '@holdfast/archive';
import type { Clock } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { Destinations } from '../destinations/destinations.ts';
import type { AgentLog } from '../log.ts';
import { definitionOf, selectedSet } from '../sets/backup-set.ts';
import type { AgentDatabase } from '../state/agent-database.ts';
import { withoutUnmounted } from './unmounted.ts';

/** What protection needs. */
export type PassPorts = {
  readonly archive: DeviceArchive;
  readonly destinations: Destinations;
  readonly database: AgentDatabase;
  readonly source: Source;
  readonly startWorker: BackupRequest['startWorker'];
  readonly workers: number;
  readonly clock: Clock;
  readonly commitClock: CommitClock;
  /** What each commit is to say of the key log; undefined where nothing is known of one. */
  readonly keyLogHead: () => string | undefined;
  readonly log: AgentLog;
  /** What is never read, as things are now. */
  readonly never: () => readonly ExclusionRule[];
};

/** Counts of a pass under way. */
export type PassProgress = Parameters<NonNullable<BackupRequest['onProgress']>>[0];

/** What a pass is about: everything, some directories, some sets, settings that are to be put, what was lost, a branch, or the past. */
export type PassScope = Pick<
  BackupRequest,
  'directories' | 'onlySets' | 'settings' | 'lost' | 'branch' | 'reseal' | 'closePast'
>;

/** What a pass tells while it goes on, and what ends it. */
export type PassHooks = {
  readonly signal: AbortSignal;
  /** Where volumes of the archive are not mounted now. */
  readonly unmounted: readonly Uint8Array[];
  readonly onDirectory: (directory: LookedAt) => void;
  readonly onProgress: (progress: PassProgress) => void;
};

/** Runs one pass. @throws what the engine throws */
export async function runPass(ports: PassPorts, scope: PassScope, hooks: PassHooks): Promise<BackupReport> {
  const { archive, destinations, database, source, startWorker, clock, commitClock, keyLogHead, never } = ports;
  const { unmounted, ...listeners } = hooks;
  const all = database.sets().map(selectedSet);
  const meant = all.filter(({ number }) => !scope.onlySets || scope.onlySets.includes(number));
  const report = await runBackup({
    index: archive.index,
    keys: archive.stored.keys,
    destinations: destinations.sessions(),
    source,
    sets: withoutUnmounted(all, unmounted).sets,
    never: never(),
    routes: destinations.sets.routePlan(),
    ...scope,
    onLost: (lost) => dropLost(destinations, lost),
    startWorker,
    workers: workersFor(scope, ports.workers),
    load: archive.load,
    clock,
    commitClock,
    keyLogHead,
    ...listeners,
  });
  const { away } = withoutUnmounted(meant, unmounted);
  const missing = away.map((path) => ({ path: Buffer.from(path), reason: 'missing' as const }));
  return { ...report, missing: [...report.missing, ...missing] };
}

/** Settings, what was lost, branches and the past need no worker, a few directories one. */
function workersFor({ settings, lost, branch, directories, reseal, closePast }: PassScope, most: number): number {
  if (settings || lost || branch || reseal || closePast) return 0;
  return directories ? Math.min(most, 1) : most;
}

/** Those that are left go on; whether the last one got what was under way is settled when it is opened anew. */
function dropLost(destinations: Destinations, { destination, error }: LostDestination): void {
  const sessions = destinations.sessions();
  const session = sessions.find((each) => each === destination);
  if (session && sessions.length > 1) void destinations.lose(session, error);
}

/** The settings of sets of which the archive says something else, or nothing, yet. */
export async function newSettings({ archive, database, destinations }: PassPorts): Promise<readonly MapEntry[]> {
  const state = archive.state();
  const entries = database.sets().map((set) => {
    const bound = destinations.sets.recordedDestinations(set);
    const definition = definitionOf(set);
    return setSetting(set.number, { name: set.name, definition, ...(bound && { destinations: bound }) });
  });
  const known = await Promise.all(entries.map(({ key }) => state.get(key)));
  return entries.filter(({ value }, place) => !known[place] || Buffer.compare(known[place], value) !== 0);
}
