import type { Keyring, Writer } from '../format/keyring.ts';
import type { Introductions } from './introductions.ts';
import { type KeyringTree, listNames, type TreeNode } from './keyring-tree.ts';

/** What speaks for keyrings (§14, "Spoken for"), and the introductions of their writers. */
export type Voices = {
  readonly introductions: Introductions;
  /** Whether the secret is a key file, so that commits alone say what is younger than a fork. */
  readonly byKeyFile: boolean;
  readonly opened: (keyring: Keyring) => boolean;
  /** Whether a commit that opens with the keyring's key names it. */
  readonly isNamed: (node: TreeNode) => boolean;
  /** Whether there is a commit of that number or above, signed by the writer whose it is by a list. */
  readonly isCommitted: (writers: readonly Writer[], fromCommit: number) => boolean;
};

/** One way that a line can go on from a fork, or end there: then `node` is where it forked. */
export type Side = { readonly node: TreeNode; readonly ends: boolean };

type ProvenList = { readonly writers: readonly Writer[]; readonly listName: string; readonly hash: Buffer };

/** What is known of a keyring and all behind it that counts. */
type Facts = {
  readonly counts: boolean;
  readonly spoken: boolean;
  readonly opened: boolean;
  readonly greatest: number;
  readonly proven: ProvenList;
};

/** Chooses the line of keyrings that counts (§14, "Choosing"). */
export class LineChooser {
  readonly #voices: Voices;
  readonly #facts = new Map<TreeNode, Facts>();
  readonly #sides = new Map<TreeNode, readonly Side[]>();

  constructor(tree: KeyringTree, voices: Voices) {
    this.#voices = voices;
    const asked = new Set<TreeNode>();
    for (const node of tree.nodes)
      if (!node.vouched || (node.before !== undefined && asked.has(node.before))) asked.add(node);
    // Those behind a keyring come after it in the list, so they are known when it is looked at.
    for (const node of tree.nodes.toReversed())
      if (node.keyring !== undefined) this.#facts.set(node, this.#factsOf(node, asked.has(node)));
  }

  /** Whether a keyring counts, as far as that is its own affair and not of those before it. */
  counts(node: TreeNode): boolean {
    return this.#facts.get(node)?.counts === true;
  }

  /** The ways on from a node, the one that is taken first; empty where the line ends without a fork. */
  sidesOf(node: TreeNode): readonly Side[] {
    const known = this.#sides.get(node);
    if (known !== undefined) return known;
    const sides: Side[] = node.behind
      .filter((child) => this.counts(child))
      .map((child) => ({ node: child, ends: false }));
    if (this.#mayEnd(node, sides)) sides.push({ node, ends: true });
    if (sides.length > 1) this.#order(node, sides);
    this.#sides.set(node, sides);
    return sides;
  }

  /** The line from a node on, itself left out. */
  lineFrom(node: TreeNode): readonly TreeNode[] {
    const line: TreeNode[] = [];
    for (let at = node; ; at = line.at(-1)!) {
      const [first] = this.sidesOf(at);
      if (first === undefined || first.ends) return line;
      line.push(first.node);
    }
  }

  #factsOf(node: TreeNode, isAsked: boolean): Facts {
    const keyring = node.keyring!;
    const counting = node.behind.flatMap((child) =>
      this.counts(child) ? [{ child, facts: this.#facts.get(child)! }] : [],
    );
    const isOpened = this.#voices.opened(keyring);
    const opened = isOpened || counting.some(({ facts }) => facts.opened);
    const heard = opened || counting.some(({ facts }) => facts.spoken);
    const spoken = heard || (isAsked && node.goesOn && this.#voices.isNamed(node));
    let proven: ProvenList = { writers: node.writers, listName: node.listName, hash: keyring.hash };
    let greatest = keyring.number;
    for (const { child, facts } of counting) {
      if (child.vouched && isLonger(facts.proven, proven)) proven = facts.proven;
      greatest = Math.max(greatest, facts.greatest);
    }
    const counts = node.goesOn && (spoken || node.vouched);
    return { counts, spoken, opened, greatest, proven };
  }

  /** Whether a writer went on without the keyrings that follow, in each of which somebody lists himself. */
  #mayEnd(node: TreeNode, sides: readonly Side[]): boolean {
    if (node.keyring === undefined || sides.length === 0 || sides.some((side) => side.node.vouched)) return false;
    let fromCommit = Infinity;
    for (const { node: child } of sides)
      for (const { firstCommit } of child.writers.slice(node.writers.length))
        fromCommit = Math.min(fromCommit, firstCommit);
    return this.#voices.isCommitted(node.writers, fromCommit);
  }

  /** Puts the sides of a fork into the order in which they are taken. */
  #order(fork: TreeNode, sides: Side[]): void {
    const lists = new Map(sides.map((side) => [side, this.#provenOf(fork, side)]));
    const shorter = properBeginnings(fork, [...lists.values()]);
    const ranks = new Map(
      sides.map((side) => {
        const step = side.ends ? 0 : stepRank(side.node);
        const isShorter = shorter.has(lists.get(side)!.listName) ? 1 : 0;
        const greatest = this.#facts.get(side.node)!.greatest;
        return [side, [-this.#youngest(fork, side), isShorter, step, -greatest]] as const;
      }),
    );
    sides.sort((a, b) => {
      const [one, other] = [ranks.get(a)!, ranks.get(b)!];
      const at = one.findIndex((rank, index) => rank !== other[index]);
      return at === -1 ? Buffer.compare(a.node.keyring!.hash, b.node.keyring!.hash) : one[at]! - other[at]!;
    });
  }

  #provenOf(fork: TreeNode, { node, ends }: Side): Omit<ProvenList, 'hash'> {
    return ends || !node.vouched ? fork : this.#facts.get(node)!.proven;
  }

  /** How young what speaks for a side alone is: an epoch with a key file, 1 with another secret; else -1. */
  #youngest(fork: TreeNode, { node, ends }: Side): number {
    if (ends) return -1;
    if (!this.#voices.byKeyFile) return fork.ring === undefined && this.#facts.get(node)!.opened ? 1 : -1;
    let youngest = -1;
    const left = [node];
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      const isYounger = at.epoch > Math.max(fork.epoch, youngest);
      if (isYounger && this.#voices.isNamed(at)) youngest = at.epoch;
      for (const child of at.behind) if (this.counts(child)) left.push(child);
    }
    return youngest;
  }
}

function stepRank({ step, vouched }: TreeNode): number {
  if (step === 'gap') return vouched ? 1 : 3;
  return step === 'firm' ? 0 : 2;
}

function isLonger(a: ProvenList, b: ProvenList): boolean {
  if (a.writers.length !== b.writers.length) return a.writers.length > b.writers.length;
  return Buffer.compare(a.hash, b.hash) < 0;
}

/** The names of what is a shorter beginning of one of these lists, all of which begin with that of the fork. */
function properBeginnings(fork: TreeNode, lists: readonly Omit<ProvenList, 'hash'>[]): ReadonlySet<string> {
  const names = new Set<string>();
  const different = new Map(lists.map((list) => [list.listName, list.writers]));
  for (const [whole, writers] of different)
    for (const name of listNames(writers, fork.writers.length, fork.listName)) if (name !== whole) names.add(name);
  return names;
}
