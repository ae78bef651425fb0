/**
 * Mends what verifying found, as far as it can be: what another destination has is copied from there, under its number;
 * of the rest, what the files still hold is stored again under new numbers. What is left is named.
 */
import { type BackupReport, isAltered, openRecordSync, type Ordinal, type StoredAgain } from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { readyConfigs } from '../schedule/completeness.ts';
import { type PassPorts, runPass } from '../schedule/run-pass.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { copyRecords } from './copy-records.ts';
import { type Damage, listedDamage, type Verified, withName } from './verify-destination.ts';

/** A destination that was verified. */
export type Checked = { readonly config: DestinationConfig; readonly verified: Verified };

/** What became of the damage at one destination. */
export type Mended = {
  /** Records taken from other destinations. */
  readonly copied: number;
  /** Records whose contents were stored again. */
  readonly storedAgain: number;
  readonly leftCount: number;
  /** At most a hundred. */
  readonly left: readonly Damage[];
};

/** What became of all damage. */
export type Mending = {
  readonly destinations: ReadonlyMap<number, Mended>;
  /** Why storing again did not come to its end. */
  readonly failure: CodedError | undefined;
};

type Left = StoredAgain['left'];

const storedAtOnce = 2000;
const nowhere: Left = new Map();

/** Mends; nothing else may use the destinations meanwhile. @throws only what is a bug, or the signal's reason */
export async function mend(ports: PassPorts, all: readonly Checked[], signal: AbortSignal): Promise<Mending> {
  const copied = new Map<number, Set<Ordinal>>();
  for (const checked of all) copied.set(checked.config.destinationId, await copyTo(ports, checked, signal));
  const isCopied = ({ config }: Checked, ordinal: Ordinal) => copied.get(config.destinationId)!.has(ordinal);
  const lost = all.flatMap((checked) => {
    const { missing, altered } = checked.verified;
    return [...missing, ...altered].filter((ordinal) => !isCopied(checked, ordinal));
  });
  const stored = await storeAgain(ports, [...new Set(lost)], signal);
  const state = ports.archive.state();
  const destinations = new Map<number, Mended>();
  for (const checked of all) {
    const { report, missing, altered } = checked.verified;
    const ofCopied = copied.get(checked.config.destinationId)!;
    const again = [...new Set([...missing, ...altered])].filter(
      (ordinal) => !ofCopied.has(ordinal) && stored.done.has(ordinal),
    );
    const isMended = ({ ordinal }: Damage) =>
      ordinal !== undefined && (ofCopied.has(ordinal) || stored.done.has(ordinal));
    const left = report.damaged.filter((damage) => !isMended(damage)).slice(0, listedDamage);
    const named = left.map((damage) => withName(damage, stored.left.get(damage.ordinal ?? -1), state));
    destinations.set(checked.config.destinationId, {
      copied: ofCopied.size,
      storedAgain: again.length,
      leftCount: report.damagedCount - ofCopied.size - again.length,
      left: await Promise.all(named),
    });
  }
  return { destinations, failure: stored.failure };
}

async function copyTo(
  { destinations, archive, log }: PassPorts,
  { config, verified: { missing, structure } }: Checked,
  signal: AbortSignal,
): Promise<Set<Ordinal>> {
  const copied = new Set<Ordinal>();
  const to = readySession(destinations, config);
  const from = destinations.sessions().filter((session) => session !== to);
  if (!to || from.length === 0) return copied;
  const keys = archive.openKeys;
  const isGenuine = (record: Uint8Array) => !isAltered(record, keys);
  const onCopied = (ordinal: Ordinal) => void copied.add(ordinal);
  try {
    await copyRecords([...structure, ...missing], { from, to, isGenuine, signal, onCopied });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    log.warn('a destination did not take what it lost', { code: error.code });
    // Whatever it says of one record, it is opened anew and judged by what it has.
    const reason = isRetryable(error) ? error : destinationErrors.interrupted({ destination: to.name }, error);
    await destinations.lose(to, reason);
  }
  return copied;
}

function readySession(destinations: PassPorts['destinations'], { destinationId }: DestinationConfig) {
  const isReady = destinations.standingOf(destinationId).status === 'ready';
  return isReady ? destinations.sessionOf(destinationId) : undefined;
}

type Stored = {
  readonly done: ReadonlySet<Ordinal>;
  readonly left: Left;
  readonly failure: CodedError | undefined;
};

async function storeAgain(ports: PassPorts, lost: readonly Ordinal[], signal: AbortSignal): Promise<Stored> {
  const done = new Set<Ordinal>();
  const left = new Map<Ordinal, Left extends ReadonlyMap<Ordinal, infer Key> ? Key : never>();
  for (let at = 0; at < lost.length; at += storedAtOnce) {
    const ordinals = new Set(lost.slice(at, at + storedAtOnce));
    try {
      const { storedAgain } = await passOver(ports, ordinals, signal);
      const isLeft = storedAgain?.left ?? nowhere;
      for (const ordinal of ordinals) done.add(ordinal);
      for (const [ordinal, key] of isLeft) {
        done.delete(ordinal);
        left.set(ordinal, key);
      }
    } catch (error) {
      // Whether a commit under way arrived is settled when the destinations are opened again.
      await ports.destinations.closeAll();
      signal.throwIfAborted();
      if (!(error instanceof CodedError)) throw error;
      return { done, left, failure: error };
    }
  }
  return { done, left, failure: undefined };
}

async function passOver(ports: PassPorts, ordinals: ReadonlySet<Ordinal>, signal: AbortSignal): Promise<BackupReport> {
  const { archive, destinations, database } = ports;
  const rawOf = (ordinal: Ordinal) => rawFrom(destinations.sessions(), archive, ordinal);
  const lost = { ordinals, state: archive.state(), rawOf };
  const nothing = () => undefined;
  const hooks = { signal, unmounted: [], onDirectory: nothing, onProgress: nothing };
  const report = await runPass(ports, { lost, onlySets: [], directories: [] }, hooks);
  for (const { destination, error } of report.lostDestinations) {
    const session = destinations.sessions().find((each) => each === destination);
    if (session) await destinations.lose(session, error);
  }
  const { number } = archive.index.head();
  for (const { destinationId } of readyConfigs(destinations)) database.setAcknowledged(destinationId, number);
  return report;
}

/** The raw bytes of a record, from the first destination that gives one that opens. */
async function rawFrom(
  sessions: readonly DestinationSession[],
  { openKeys }: DeviceArchive,
  ordinal: Ordinal,
): Promise<Uint8Array | undefined> {
  for (const session of sessions) {
    for await (const record of session.read([ordinal])) {
      const raw = openedRaw(record, openKeys);
      if (raw) return raw;
    }
  }
  return undefined;
}

function openedRaw(record: Uint8Array, keys: DeviceArchive['openKeys']): Uint8Array | undefined {
  try {
    return openRecordSync(record, keys).raw;
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
