/** The branches that this device knows: tails of commits that one destination alone has, and what becomes of them. */
import type { BranchLink, BranchSurvey, CommitName, Ordinal } from '@holdfast/archive';
import type { AgentDatabase } from '../state/agent-database.ts';
import { branchErrors } from './errors.ts';

/** What a person decided: nothing yet, that its versions come into the line, or that it is not needed. */
export type BranchState = 'open' | 'taken_in' | 'given_up';

/** A branch as it was found. */
export type FoundBranch = {
  readonly destinationId: number;
  readonly head: BranchLink;
  /** The newest commit that it has in common with the line; left out where there is none. */
  readonly fork?: BranchLink;
  readonly firstCommit: number;
  /** When its first and its newest commit were made, milliseconds since 1970. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** The line's own records behind the fork have this ordinal or a greater one. */
  readonly lineFrom: Ordinal;
  /** It has records under ordinals that the line has, too: one folder cannot hold both. */
  readonly isMixed: boolean;
};

/** A branch with its number and what became of it. */
export type KnownBranch = FoundBranch & {
  readonly branch: number;
  readonly foundAtMs: number;
  readonly state: BranchState;
  readonly decidedAtMs?: number;
  /** Who decided, by the number of the user. */
  readonly decidedBy?: number;
  /** Number of the newest commit when it began to be taken in. */
  readonly since?: number;
  readonly survey?: BranchSurvey;
};

/** What may change. */
type Change = Partial<Pick<KnownBranch, 'state' | 'decidedAtMs' | 'decidedBy' | 'since' | 'survey'>>;

/** How long what was given up stays where it is: one hold. */
export const holdMs = 30 * 24 * 3600 * 1000;

const factName = 'branches';

/** What the book is kept in. */
type Facts = Pick<AgentDatabase, 'fact' | 'setFact'>;

/** The book, on stable storage. */
export class BranchBook {
  readonly #database: Facts;

  constructor(database: Facts) {
    this.#database = database;
  }

  all(): readonly KnownBranch[] {
    const text = this.#database.fact(factName);
    return typeof text === 'string' ? (JSON.parse(text) as KnownBranch[]) : [];
  }

  at(destinationId: number): readonly KnownBranch[] {
    return this.all().filter((each) => each.destinationId === destinationId);
  }

  /** @throws branches.not_found */
  get(branch: number): KnownBranch {
    const known = this.all().find((each) => each.branch === branch);
    if (!known) throw branchErrors.not_found({ field: 'branch', branch });
    return known;
  }

  /** The branch of a destination with this head, if it was found before. */
  withHead(destinationId: number, { sha256 }: CommitName): KnownBranch | undefined {
    return this.at(destinationId).find(({ head }) => head.sha256 === sha256);
  }

  /**
   * Takes down a branch. One that went on since it was found, and that nobody decided about, stays the same branch.
   */
  note(found: FoundBranch, nowMs: number): KnownBranch {
    const all = this.all();
    const isSame = ({ state, destinationId, fork }: KnownBranch) =>
      state === 'open' && destinationId === found.destinationId && fork?.sha256 === found.fork?.sha256;
    const before = all.find(isSame);
    const branch = before?.branch ?? Math.max(0, ...all.map((each) => each.branch)) + 1;
    const { foundAtMs = nowMs, since } = before ?? {};
    const known: KnownBranch = { ...found, branch, foundAtMs, state: 'open', ...(since !== undefined && { since }) };
    this.#save([...all.filter((each) => each !== before), known]);
    return known;
  }

  change(branch: number, change: Change): KnownBranch {
    const changed = { ...this.get(branch), ...change };
    this.#save(this.all().map((each) => (each.branch === branch ? changed : each)));
    return changed;
  }

  /** Makes it a branch that nobody decided about. */
  reopen(branch: number): KnownBranch {
    const { decidedAtMs: _at, decidedBy: _by, ...known } = this.get(branch);
    const open: KnownBranch = { ...known, state: 'open' };
    this.#save(this.all().map((each) => (each.branch === branch ? open : each)));
    return open;
  }

  /** What is known of a destination that is no more. */
  forget(destinationId: number): void {
    this.#save(this.all().filter((each) => each.destinationId !== destinationId));
  }

  /**
   * Whether a destination may be sent live sets: not while a branch there is undecided, or may still be wanted back; what
   * the line's live sets leave out would be let go.
   */
  mayTakeLiveSets(destinationId: number, nowMs: number): boolean {
    return this.at(destinationId).every(({ state, decidedAtMs = nowMs }) => {
      return state === 'taken_in' || (state === 'given_up' && decidedAtMs + holdMs <= nowMs);
    });
  }

  #save(all: readonly KnownBranch[]): void {
    this.#database.setFact(factName, JSON.stringify(all.toSorted((a, b) => a.branch - b.branch)));
  }
}
