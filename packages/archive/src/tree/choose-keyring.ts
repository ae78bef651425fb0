/**
 * Which line of keyrings counts where there are several. A stranger, somebody who once opened a ring, and a writer who has
 * ended can all add keyrings; none of them may hide or replace what the rightful writers wrote after. What the archive
 * cannot decide is a fork, of which either side can be read. Format document, section 14, "Lines of keyrings".
 */
import { compareBytes } from '../format/cursor.ts';
import type { Writer } from '../format/keyring.ts';
import { type KeyringNode, type KeyringTree, lineTo, numberOf } from './keyring-tree.ts';
import { beginsWith, type WriterList } from './writer-lists.ts';

/** What choosing goes by besides the tree. */
export type LineEvidence = {
  /** Keyrings that commits speak for. */
  readonly spoken: ReadonlySet<KeyringNode>;
  /** The keys are those of a key file, and no ring was opened. */
  readonly hasKeyFile: boolean;
  /** Whether a rightful writer of a list signed a commit of this number or a greater one. */
  readonly hasCommitFrom: (number: number, writers: readonly Writer[]) => Promise<boolean>;
};

/** A point from which several lives of an archive go on. */
export type KeyringFork = {
  /** Number of the keyring there; 0 where there is none. */
  readonly after: number;
  /** The keyring in which the line of each side ends, in the order of preference. */
  readonly sides: readonly { readonly number: number; readonly sha256: Uint8Array }[];
};

/** The line that was chosen, the oldest keyring first. */
export type KeyringLine = { readonly line: readonly KeyringNode[]; readonly forks: readonly KeyringFork[] };

/** Sides of a fork whose ends are looked for. */
const mostSides = 64;

/** What is behind a keyring, itself included. */
type Weight = {
  /** Something speaks for it. */
  readonly isSpoken: boolean;
  /** The secret opened one. */
  readonly isOpened: boolean;
  /** The newest epoch in which a commit speaks for one; -1 where none does. */
  readonly epoch: number;
  /** The longest list of writers that is come to without one who was not introduced. */
  readonly proven: { readonly writers: WriterList; readonly sha256: Uint8Array };
  /** The greatest number. */
  readonly number: number;
};

type Place = KeyringTree | KeyringNode;

/** Chooses the line, from the first keyring on. */
export class LineChooser {
  readonly #tree: KeyringTree;
  readonly #evidence: LineEvidence;
  readonly #weights = new Map<KeyringNode, Weight>();
  readonly #sides = new Map<Place, Promise<readonly Place[]>>();
  readonly #ends = new Map<Place, Place>();

  constructor(tree: KeyringTree, evidence: LineEvidence) {
    this.#tree = tree;
    this.#evidence = evidence;
    // Whatever follows a keyring was added after it.
    for (const node of tree.nodes.toReversed()) this.#weights.set(node, this.#weigh(node));
  }

  /** The line that counts. */
  async choose(): Promise<KeyringLine> {
    return this.#walk(this.#tree);
  }

  /** The line that ends in a keyring, whatever speaks for it. */
  async through(end: KeyringNode): Promise<KeyringLine> {
    const line = lineTo(end);
    const forks: KeyringFork[] = [];
    for (const node of [...line, undefined]) {
      const at = node?.before ?? end;
      const sides = await this.#sidesOf(at);
      const taken = node ?? end;
      await this.#noteFork(at, sides.length === 0 || sides.includes(taken) ? sides : [...sides, taken], forks);
    }
    return { line, forks };
  }

  /** Whether a commit or the secret speaks for this very keyring. */
  isSpokenFor(node: KeyringNode): boolean {
    return node.isOpened || this.#evidence.spoken.has(node);
  }

  async #walk(from: Place): Promise<KeyringLine> {
    const forks: KeyringFork[] = [];
    let end = from;
    for (;;) {
      const sides = await this.#sidesOf(end);
      await this.#noteFork(end, sides, forks);
      const [first] = sides;
      if (first === undefined || first === end) return { line: lineTo(end), forks };
      end = first;
    }
  }

  async #noteFork(at: Place, sides: readonly Place[], forks: KeyringFork[]): Promise<void> {
    if (sides.length < 2) return;
    const ends: KeyringFork['sides'][number][] = [];
    for (const side of sides.slice(0, mostSides)) {
      const end = side === at ? at : await this.#endOf(side);
      if (end.candidate) ends.push({ number: numberOf(end), sha256: end.candidate.sha256 });
    }
    forks.push({ after: numberOf(at), sides: ends });
  }

  async #endOf(from: Place): Promise<Place> {
    const passed: Place[] = [];
    let end = from;
    for (let known = this.#ends.get(end); known === undefined; known = this.#ends.get(end)) {
      passed.push(end);
      const [first] = await this.#sidesOf(end);
      if (first === undefined || first === end) break;
      end = first;
    }
    end = this.#ends.get(end) ?? end;
    for (const place of passed) this.#ends.set(place, end);
    return end;
  }

  /** The keyrings that follow one and count, the preferred first; the keyring itself where its line may end there. */
  #sidesOf(at: Place): Promise<readonly Place[]> {
    const sides = this.#sides.get(at) ?? this.#findSides(at);
    this.#sides.set(at, sides);
    return sides;
  }

  async #findSides(at: Place): Promise<readonly Place[]> {
    const sides = at.next.filter((node) => this.#counts(node));
    const ordered = this.#inOrder(sides, at);
    const [first] = ordered;
    if (first === undefined || !at.candidate || !(await this.#mayEnd(at, sides))) return ordered;
    return this.#youthOf(first, at) > 0 ? [...ordered, at] : [at, ...ordered];
  }

  #counts(node: KeyringNode): boolean {
    return node.isIntroduced || this.#weights.get(node)!.isSpoken;
  }

  /** A writer goes on also without another keyring: by commits that a stranger's list would take from him. */
  async #mayEnd(at: KeyringNode, sides: readonly KeyringNode[]): Promise<boolean> {
    if (sides.some(({ isIntroduced }) => isIntroduced)) return false;
    const { writers } = at.candidate.keyring;
    const firsts = sides.flatMap(({ candidate }) => candidate.keyring.writers.slice(writers.length));
    return this.#evidence.hasCommitFrom(Math.min(...firsts.map(({ firstCommit }) => firstCommit)), writers);
  }

  #inOrder(sides: readonly KeyringNode[], at: Place): readonly KeyringNode[] {
    if (sides.length < 2) return sides;
    const provenOf = (side: KeyringNode) => (side.isIntroduced ? this.#weights.get(side)!.proven.writers : at.writers);
    const all = new Set(sides.map(provenOf));
    const isOutlived = (list: WriterList) =>
      [...all].some((other) => other.length > list.length && beginsWith(other, list));
    const outlived = new Map([...all].map((list) => [list, isOutlived(list)]));
    const ranked = sides.map((node) => {
      const { number } = this.#weights.get(node)!;
      const rank = [-this.#youthOf(node, at), Number(outlived.get(provenOf(node))), rankOfStep(node), -number] as const;
      return { node, rank };
    });
    return ranked
      .toSorted((a, b) => compareRanks(a.rank, b.rank) || compareBytes(hashOf(a.node), hashOf(b.node)))
      .map(({ node }) => node);
  }

  /** Whether what is younger than the fork speaks for a side: who was not there after it cannot know such a key. */
  #youthOf(side: Place, at: Place): number {
    if (!side.candidate) return 0;
    const { isOpened, epoch } = this.#weights.get(side)!;
    if (this.#evidence.hasKeyFile) return epoch > (at.candidate?.epoch ?? -1) ? epoch + 1 : 0;
    return isOpened && at.ring === undefined ? 1 : 0;
  }

  #weigh(node: KeyringNode): Weight {
    const { candidate, next, writers } = node;
    const { sha256 } = candidate;
    const isNamed = this.#evidence.spoken.has(node);
    const behind = next.map((follower) => ({ follower, weight: this.#weights.get(follower)! }));
    const vouched = behind.filter(({ follower }) => follower.isIntroduced).map(({ weight }) => weight.proven);
    const counted = behind.filter(({ follower }) => this.#counts(follower)).map(({ weight }) => weight.number);
    const weights = behind.map(({ weight }) => weight);
    return {
      isSpoken: this.isSpokenFor(node) || weights.some(({ isSpoken }) => isSpoken),
      isOpened: node.isOpened || weights.some(({ isOpened }) => isOpened),
      epoch: weights.reduce((most, { epoch }) => Math.max(most, epoch), isNamed ? candidate.epoch : -1),
      proven: vouched.reduce(longer, { writers, sha256 }),
      number: counted.reduce((most, number) => Math.max(most, number), candidate.keyring.number),
    };
  }
}

function rankOfStep({ step, isIntroduced }: KeyringNode): number {
  return (step === 'gap' ? 1 : 0) + (isIntroduced ? 0 : 2);
}

function longer(a: Weight['proven'], b: Weight['proven']): Weight['proven'] {
  const order = b.writers.length - a.writers.length || compareBytes(a.sha256, b.sha256);
  return order > 0 ? b : a;
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, rank] of a.entries()) if (rank !== b[index]!) return rank - b[index]!;
  return 0;
}

function hashOf({ candidate }: KeyringNode): Uint8Array {
  return candidate.sha256;
}
