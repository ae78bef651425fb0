/**
 * Mends what verifying found, as far as it can be: what another destination has is copied from there, under its number;
 * of the rest, what the files still hold is stored again under new numbers. What is left is named.
 */
import type { BackupReport, Ordinal, StoredAgain } from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import { destinationErrors } from '../destinations/errors.ts';
import { genuineIn } from '../destinations/own-ordinals.ts';
import { readyConfigs } from '../schedule/completeness.ts';
import { type PassPorts, runPass } from '../schedule/run-pass.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { copyRecords } from './copy-records.ts';
import { rawsFrom, wholeElsewhere } from './other-copies.ts';
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
  const lacking = lackingAfter(all, copied);
  const elsewhere = await wholeElsewhere(ports, lacking, signal);
  const lost = [...lacking.keys()].filter((ordinal) => !elsewhere.has(ordinal));
  const stored = await storeAgain(ports, lost, signal);
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
    const named = left.map((damage) => withName(told(damage, elsewhere), stored.left.get(damage.ordinal ?? -1), state));
    destinations.set(checked.config.destinationId, {
      copied: ofCopied.size,
      storedAgain: again.length,
      leftCount: report.damagedCount - ofCopied.size - again.length,
      left: await Promise.all(named),
    });
  }
  return { destinations, failure: stored.failure };
}

/** Which destinations lack a record still, of those that were checked. */
function lackingAfter(
  all: readonly Checked[],
  copied: ReadonlyMap<number, ReadonlySet<Ordinal>>,
): Map<Ordinal, Set<number>> {
  const lacking = new Map<Ordinal, Set<number>>();
  for (const { config, verified } of all) {
    const { destinationId } = config;
    for (const ordinal of [...verified.missing, ...verified.altered]) {
      if (copied.get(destinationId)!.has(ordinal)) continue;
      lacking.set(ordinal, (lacking.get(ordinal) ?? new Set()).add(destinationId));
    }
  }
  return lacking;
}

/** Nothing is lost of what another has: storing it again would fill that one, as often as this one says that it has not. */
function told(damage: Damage, elsewhere: ReadonlySet<Ordinal>): Damage {
  if (damage.ordinal === undefined || !elsewhere.has(damage.ordinal)) return damage;
  return { ...damage, problem: `${damage.problem}; another destination has it whole, and this one did not take it` };
}

async function copyTo(
  { destinations, archive, log }: PassPorts,
  { config, verified: { missing, structure } }: Checked,
  signal: AbortSignal,
): Promise<Set<Ordinal>> {
  const copied = new Set<Ordinal>();
  const to = destinations.sessionOf(config.destinationId);
  const from = destinations.sessions().filter((session) => session !== to);
  if (!to || from.length === 0) return copied;
  const isGenuine = genuineIn(archive);
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
  const rawsOf = rawsFrom(destinations.sessions(), archive.openKeys, signal);
  const lost = { ordinals, state: archive.state(), rawsOf };
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
