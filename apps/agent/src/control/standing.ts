import type { DestinationStanding } from '../destinations/slot.ts';
import type { ProtectionView } from '../schedule/protection-view.ts';
import { isPaused } from '../schedule/due.ts';
import { isPathAtOrBelow, type NumberedSet } from '../sets/backup-set.ts';
import type { KnownDamage } from '../verify/known-damage.ts';
import { remedyOf } from './remedies.ts';

/** How a backup set stands at a destination: one state, why, and what to do about it. */
export type SetState =
  | 'protected'
  /** Changes wait for their turn, or are being looked at. */
  | 'backing_up'
  /** All is done that can be done, and something of the set is not there or cannot be read. */
  | 'incomplete'
  /** The destination is away, or is being caught up; changes wait. */
  | 'behind'
  | 'paused'
  /** The set is bound to other destinations now; what is there stays as it is. */
  | 'ended'
  /** A person has to act. */
  | 'failed';

/** A state with its reason, and a remedy where a person can do something. */
export type Judgement = { readonly state: SetState; readonly reason: string; readonly remedy?: string };

/** What is known of a set and a destination. */
export type StandingFacts = {
  readonly set: NumberedSet;
  readonly destination: DestinationStanding | undefined;
  /** Whether the set goes there now. */
  readonly isBound: boolean;
  /** Whether the destination lacks what the set stored before it went there. */
  readonly hasGap: boolean;
  readonly view: ProtectionView;
  /** How many entries that the set selects could not be read. */
  readonly unreadEntries: number;
  /** Whether whoever asks is told which. */
  readonly isToldPaths: boolean;
  readonly completeAtMs: number | undefined;
  readonly minute: number;
  /** What verifying found there of the set, and could not mend. */
  readonly damage: KnownDamage | undefined;
};

/** Judges how a set stands at a destination. The first that holds counts: what needs a person comes before what mends itself. */
export function judgeStanding(facts: StandingFacts): Judgement {
  return (
    fromBinding(facts) ??
    fromDestination(facts) ??
    fromGap(facts) ??
    fromFailure(facts) ??
    fromDamage(facts) ??
    fromWhatIsMissing(facts) ??
    fromProgress(facts)
  );
}

function fromBinding({ isBound }: StandingFacts): Judgement | undefined {
  if (isBound) return undefined;
  return { state: 'ended', reason: 'the set goes to other destinations now; what is there stays, and grows old' };
}

function fromGap({ hasGap }: StandingFacts): Judgement | undefined {
  if (!hasGap) return undefined;
  const remedy = 'connect the destinations that have it; it is then sent by itself';
  return { state: 'behind', reason: 'what the set stored before it went there is not all there yet', remedy };
}

function fromDestination({ destination }: StandingFacts): Judgement | undefined {
  if (destination) return judgeDestination(destination);
  const remedy = 'add one: holdfast destination add FOLDER';
  return { state: 'failed', reason: 'there is no destination', remedy };
}

/** How a destination that is not ready stands, whatever a set is about; undefined for one that is. */
export function judgeDestination(destination: DestinationStanding): Judgement | undefined {
  if (destination.status === 'failed' || destination.status === 'away') {
    const { message } = destination.error;
    const known = remedyOf(destination.error);
    if (destination.status === 'failed') {
      return { state: 'failed', reason: message, remedy: known ?? 'mend it, then: holdfast backup' };
    }
    return { state: 'behind', reason: message, remedy: known ?? 'it is tried again by itself' };
  }
  if (destination.status === 'catching_up') {
    return { state: 'behind', reason: 'it is being sent what it lacks from another destination' };
  }
  return undefined;
}

function fromFailure({ view }: StandingFacts): Judgement | undefined {
  if (!view.failure) return undefined;
  const remedy = remedyOf(view.failure) ?? "it is tried again by itself; the agent's log says more";
  return { state: 'failed', reason: view.failure.message, remedy };
}

function fromDamage({ damage }: StandingFacts): Judgement | undefined {
  if (!damage) return undefined;
  const records = damage.count === 1 ? 'one record is' : `${damage.count} records are`;
  const reason = `${records} missing or damaged there, and could not be mended`;
  const remedy =
    'connect the destinations that are away, then: holdfast verify --full; keep other copies of what it names. ' +
    'What another destination has whole: remove the damaged one and add it again';
  return { state: 'incomplete', reason, remedy };
}

function fromWhatIsMissing({ view, set, unreadEntries, isToldPaths }: StandingFacts): Judgement | undefined {
  const isMissing = view.missing.some(({ path }) => set.includes.includes(Buffer.from(path).toString()));
  if (isMissing) {
    const remedy = 'connect its disk, or take the folder out of the set; nothing of it is taken for deleted';
    return { state: 'incomplete', reason: 'a folder of the set is not there', remedy };
  }
  const isListWhole = view.moreProblems === 0;
  if (unreadEntries === 0 && isListWhole) return undefined;
  const count = unreadEntries === 1 ? 'one entry' : `${unreadEntries} entries`;
  const reason = isListWhole ? `${count} could not be read` : `${count}, or more, could not be read`;
  const remedy = isToldPaths
    ? 'let the agent read what is listed as not read, or exclude it from the set'
    : 'see which, as administrator: holdfast status';
  return { state: 'incomplete', reason, remedy };
}

function fromProgress({ view, set, minute, completeAtMs }: StandingFacts): Judgement {
  const isWorking = view.activity !== 'idle';
  if (!isWorking && view.hasChanges && isPaused(set, minute)) {
    return { state: 'paused', reason: 'the set is paused at this hour', remedy: 'back up now: holdfast backup' };
  }
  if (!view.isEverComplete || completeAtMs === undefined) {
    return { state: 'backing_up', reason: 'everything is being looked at' };
  }
  if (isWorking || view.hasChanges) return { state: 'backing_up', reason: 'changes are being looked at' };
  const isAway = view.missing.some(({ path }) =>
    set.includes.some((include) => isPathAtOrBelow(Buffer.from(path).toString(), include)),
  );
  const reason = isAway ? 'all that is there is stored; a disk of it is not connected' : 'everything is stored there';
  return { state: 'protected', reason };
}
