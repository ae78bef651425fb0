/**
 * What a destination decides about a writer without any key: sessions and their fencing, the order of fragments, heads.
 *
 * State in, decision out; nothing here does I/O, so that rows of a database or a file can carry the state. All of it is plain
 * JSON: hashes and keys are lower-case hex.
 */

/** A commit by its number and the SHA-256 of its whole record (64 hex digits). */
export type CommitName = { readonly number: number; readonly sha256: string };

/** A writer as the newest keyring lists it. */
export type KnownWriter = { readonly number: number; readonly publicKey: string; readonly firstCommit: number };

/** What a destination remembers of one archive. */
export type LogState = {
  /** Number of the newest session; 0 before the first. Whoever holds an older one is fenced off. */
  readonly sessionEpoch: number;
  /** The number the next fragment must have, from 1; counts on through all sessions. */
  readonly nextFragment: number;
  /** The last fragments that were acknowledged, oldest first. */
  readonly recentFragments: readonly { readonly sequence: number; readonly sha256: string }[];
  /** The newest commit; `checkpoint` is the number of the newest checkpoint. */
  readonly head?: CommitName & { readonly checkpoint: number };
  readonly keyring?: { readonly number: number; readonly sha256: string };
  /** The newest epoch of that keyring. */
  readonly keyringEpoch?: number;
  /** By rising number; empty before the header record. */
  readonly writers: readonly KnownWriter[];
  /** The greatest number of a live set; 0 before the first. */
  readonly liveSet: number;
};

/** The state of a destination that holds nothing. */
export const emptyLogState: LogState = {
  sessionEpoch: 0,
  nextFragment: 1,
  recentFragments: [],
  writers: [],
  liveSet: 0,
};

/** How many fragments may be under way at once. */
export const fragmentWindow = 8;

const recentKept = 4 * fragmentWindow;

/** What a destination answers to a session that opens; how it looks from there. */
export type SessionAnswer = {
  readonly sessionEpoch: number;
  readonly nextFragment: number;
  readonly head?: CommitName;
  /** `ahead`: the destination has more than the writer said; `behind`: less; `differs`: the same number with another hash. */
  readonly comparison: 'same' | 'ahead' | 'behind' | 'differs';
};

/** Opens a session for a writer that names the last commit it knows. The newest session wins: all older ones are fenced off. */
export function openSession(
  state: LogState,
  known: CommitName | undefined,
): { readonly state: LogState; readonly answer: SessionAnswer } {
  const opened = { ...state, sessionEpoch: state.sessionEpoch + 1 };
  const { head } = state;
  const answer = {
    sessionEpoch: opened.sessionEpoch,
    nextFragment: state.nextFragment,
    comparison: compareHeads(known, head),
    ...(head ? { head: { number: head.number, sha256: head.sha256 } } : {}),
  };
  return { state: opened, answer };
}

function compareHeads(known: CommitName | undefined, head: CommitName | undefined): SessionAnswer['comparison'] {
  const difference = (head?.number ?? 0) - (known?.number ?? 0);
  if (difference !== 0) return difference > 0 ? 'ahead' : 'behind';
  return known?.sha256 === head?.sha256 ? 'same' : 'differs';
}

/** What the writer has to do after a session opened. */
export type SessionVerdict =
  | { readonly status: 'go_on' }
  /** It wrote the destination's head itself and lost the answer: that is the newest commit it knows from now on. */
  | { readonly status: 'take_up'; readonly head: CommitName }
  /** The destination lacks commits from this number on. */
  | { readonly status: 'send'; readonly fromCommit: number }
  /** The head is not its own: it was rolled back, cloned, or lost its state. It reads what it lacks and takes a new number. */
  | { readonly status: 'new_writer'; readonly head: CommitName };

/**
 * Judges a destination's head from the writer's side.
 *
 * `ownCommit` gives the SHA-256 of a commit the writer wrote, those it sent and never heard of included.
 * A known ordinal that the destination refuses later (`log.ordinal_known`) means `new_writer` as well.
 */
export function judgeSession(
  head: CommitName | undefined,
  known: CommitName | undefined,
  ownCommit: (number: number) => string | undefined,
): SessionVerdict {
  if (!head) return known ? { status: 'send', fromCommit: 1 } : { status: 'go_on' };
  const own = head.number === known?.number ? known.sha256 : ownCommit(head.number);
  if (own !== head.sha256) return { status: 'new_writer', head };
  if (head.number === known?.number) return { status: 'go_on' };
  const isAhead = head.number > (known?.number ?? 0);
  return isAhead ? { status: 'take_up', head } : { status: 'send', fromCommit: head.number + 1 };
}

/** A fragment as it arrives: its session, its number, and the SHA-256 of its bytes. */
export type FragmentName = { readonly sessionEpoch: number; readonly sequence: number; readonly sha256: string };

/** What to do with a fragment. */
export type FragmentDecision =
  /** It is the next one: store it, then `acknowledgeFragment`. */
  | { readonly status: 'accept' }
  /** It was acknowledged before, with these bytes: acknowledge it again. */
  | { readonly status: 'repeated' }
  /** Others before it are under way: decide again once they are in. */
  | { readonly status: 'early' }
  | { readonly status: 'refused'; readonly reason: 'fenced' | 'fragment_order' | 'fragment_differs' };

/** Decides on a fragment by its name alone. */
export function judgeFragment(state: LogState, fragment: FragmentName): FragmentDecision {
  if (fragment.sessionEpoch !== state.sessionEpoch || state.sessionEpoch === 0) return refused('fenced');
  const ahead = fragment.sequence - state.nextFragment;
  if (ahead === 0) return { status: 'accept' };
  if (ahead > 0) return ahead < fragmentWindow ? { status: 'early' } : refused('fragment_order');
  const before = state.recentFragments.find(({ sequence }) => sequence === fragment.sequence);
  if (!before) return refused('fragment_order');
  return before.sha256 === fragment.sha256 ? { status: 'repeated' } : refused('fragment_differs');
}

function refused(reason: (FragmentDecision & { status: 'refused' })['reason']): FragmentDecision {
  return { status: 'refused', reason };
}

/** The state once an accepted fragment is on stable storage. */
export function acknowledgeFragment(state: LogState, { sequence, sha256 }: FragmentName): LogState {
  const recentFragments = [...state.recentFragments, { sequence, sha256 }].slice(-recentKept);
  return { ...state, nextFragment: sequence + 1, recentFragments };
}
