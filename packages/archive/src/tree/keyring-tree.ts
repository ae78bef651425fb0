/**
 * How the keyrings of an archive follow each other. Anybody can sign a keyring that lists himself, so a keyring is judged
 * by its place behind others: what it repeats of them, who introduced its writers, and the keys it goes on with.
 * Format document, section 14, "Lines of keyrings".
 */
import { compareBytes, equalBytes } from '../format/cursor.ts';
import type { Keyring, RingEpoch } from '../format/keyring.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { noteProblem } from './note-problem.ts';
import type { ReadProblem } from './record-source.ts';
import { beginsWith, type WriterList, type WriterLists } from './writer-lists.ts';

/** A keyring that is signed by the newest writer it lists and begins with the header's. */
export type KeyringCandidate = {
  readonly keyring: Keyring;
  readonly sha256: Uint8Array;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ordinal: Ordinal;
  /** Of the record's header: the newest epoch of its ring. */
  readonly epoch: number;
};

/** The epochs of a ring. */
export type RingEpochs = readonly RingEpoch[];

/**
 * How a keyring follows another: only the holder of the newest writer's seed makes one that follows firmly, and anybody
 * one that follows loosely; behind a gap the one between is not here.
 */
export type KeyringStep = 'firm' | 'loose' | 'gap';

/** A keyring in its place. */
export type KeyringNode = {
  readonly candidate: KeyringCandidate;
  readonly before: KeyringTree | KeyringNode;
  readonly step: KeyringStep;
  /** Every writer it adds was introduced. */
  readonly isIntroduced: boolean;
  readonly writers: WriterList;
  /** The secret opened it. */
  readonly isOpened: boolean;
  /** Of the nearest keyring that opened, itself or before it. */
  readonly ring: RingEpochs | undefined;
  readonly next: KeyringNode[];
};

/** All keyrings that follow from nothing, and from each other. */
export type KeyringTree = {
  readonly candidate: undefined;
  readonly writers: WriterList;
  readonly ring: undefined;
  readonly next: KeyringNode[];
  /** Every keyring behind the one before it. */
  readonly nodes: readonly KeyringNode[];
};

/** What a tree is grown from besides keyrings. */
export type TreeSoil = {
  readonly lists: WriterLists;
  /** What the secret opened. */
  readonly rings: ReadonlyMap<KeyringCandidate, RingEpochs>;
  readonly problems: ReadProblem[];
};

/** Puts every keyring behind the one it follows; those that follow none are left out. @param candidates by falling number */
export async function growTree(candidates: readonly KeyringCandidate[], soil: TreeSoil): Promise<KeyringTree> {
  const byPrevious = Map.groupBy(candidates, ({ keyring }) => keyring.previous.toHex());
  const hashes = new Set(candidates.map(({ sha256 }) => sha256.toHex()));
  const nodes: KeyringNode[] = [];
  const tree: KeyringTree = { candidate: undefined, writers: soil.lists.empty, ring: undefined, next: [], nodes };
  const grower = new Grower(soil, byPrevious, nodes);
  await grower.growFrom(tree);
  const loose = candidates.filter(
    (candidate) => !isFirst(candidate) && !hashes.has(candidate.keyring.previous.toHex()),
  );
  for (const candidate of loose.toSorted(byNumber)) await grower.growBehindGap(tree, candidate);
  return tree;
}

/** A keyring that follows none, as a line of its own; the tree does not have it. */
export async function standAlone(
  candidate: KeyringCandidate,
  tree: KeyringTree,
  { lists, rings }: Pick<TreeSoil, 'lists' | 'rings'>,
): Promise<KeyringNode> {
  const writers = lists.of(candidate.keyring.writers);
  const isIntroduced = await lists.areIntroduced(writers, tree.writers);
  const ring = rings.get(candidate);
  const isOpened = ring !== undefined;
  return { candidate, before: tree, step: 'gap', isIntroduced, writers, isOpened, ring, next: [] };
}

class Grower {
  readonly #soil: TreeSoil;
  readonly #byPrevious: ReadonlyMap<string, readonly KeyringCandidate[]>;
  readonly #nodes: KeyringNode[];
  readonly #byWriters = new Map<WriterList, KeyringNode[]>();

  constructor(soil: TreeSoil, byPrevious: ReadonlyMap<string, readonly KeyringCandidate[]>, nodes: KeyringNode[]) {
    this.#soil = soil;
    this.#byPrevious = byPrevious;
    this.#nodes = nodes;
  }

  async growFrom(root: KeyringTree | KeyringNode): Promise<void> {
    const waiting = [root];
    for (let at = waiting.pop(); at; at = waiting.pop())
      for (const candidate of this.#followersOf(at)) {
        const writers = this.#soil.lists.of(candidate.keyring.writers);
        if (candidate.keyring.number !== numberOf(at) + 1 || !beginsWith(writers, at.writers)) continue;
        if (this.#goesOn(candidate, at)) waiting.push(await this.#add(candidate, at, 'firm'));
        else noteOtherKeys(candidate, this.#soil.problems);
      }
  }

  async growBehindGap(tree: KeyringTree, candidate: KeyringCandidate): Promise<void> {
    const before = this.#nearestBefore(candidate) ?? tree;
    await this.growFrom(await this.#add(candidate, before, 'gap'));
  }

  #followersOf(at: KeyringTree | KeyringNode): readonly KeyringCandidate[] {
    const followers = this.#byPrevious.get(at.candidate?.sha256.toHex() ?? nothing);
    return (at.candidate ? followers : followers?.filter(isFirst)) ?? [];
  }

  /** The keyring of the greatest lower number whose writers and keys a keyring goes on with. */
  #nearestBefore(candidate: KeyringCandidate): KeyringNode | undefined {
    let best: KeyringNode | undefined;
    for (let list: WriterList | undefined = this.#soil.lists.of(candidate.keyring.writers); list; list = list.before)
      for (const node of this.#byWriters.get(list) ?? []) {
        const isNearer = best === undefined || byNumber(node.candidate, best.candidate, 'falling') < 0;
        const isLower = node.candidate.keyring.number < candidate.keyring.number;
        if (isNearer && isLower && this.#goesOn(candidate, node)) best = node;
      }
    return best;
  }

  /** Whether the ring that was opened has all keys that were known before, and its epoch is none before theirs. */
  #goesOn(candidate: KeyringCandidate, at: KeyringTree | KeyringNode): boolean {
    if (at.candidate && candidate.epoch < at.candidate.epoch) return false;
    const ring = this.#soil.rings.get(candidate);
    return !ring || !at.ring || at.ring.every((epoch) => isAmong(ring, epoch));
  }

  async #add(
    candidate: KeyringCandidate,
    before: KeyringTree | KeyringNode,
    step: 'firm' | 'gap',
  ): Promise<KeyringNode> {
    const { lists, rings } = this.#soil;
    const writers = lists.of(candidate.keyring.writers);
    const isIntroduced = await lists.areIntroduced(writers, before.writers);
    const opened = rings.get(candidate);
    const own = step === 'firm' && !isIntroduced ? 'loose' : step;
    const [ring, isOpened] = [opened ?? before.ring, opened !== undefined];
    const node: KeyringNode = { candidate, before, step: own, isIntroduced, writers, isOpened, ring, next: [] };
    before.next.push(node);
    this.#nodes.push(node);
    const alike = this.#byWriters.get(writers);
    if (alike) alike.push(node);
    else this.#byWriters.set(writers, [node]);
    return node;
  }
}

const nothing = '00'.repeat(32);

function isFirst({ keyring }: KeyringCandidate): boolean {
  return keyring.number === 1 && keyring.previous.toHex() === nothing;
}

/** The number of a keyring; 0 for what is before all of them. */
export function numberOf({ candidate }: KeyringTree | KeyringNode): number {
  return candidate?.keyring.number ?? 0;
}

/** From a keyring back to the first: the nearest last. */
export function lineTo(end: KeyringTree | KeyringNode): KeyringNode[] {
  const line: KeyringNode[] = [];
  for (let at = end; at.candidate !== undefined; at = at.before) line.push(at);
  return line.toReversed();
}

function byNumber(a: KeyringCandidate, b: KeyringCandidate, direction: 'rising' | 'falling' = 'rising'): number {
  const difference = a.keyring.number - b.keyring.number;
  return (direction === 'rising' ? difference : -difference) || compareBytes(a.sha256, b.sha256);
}

/** Whether a ring has an epoch of this number and key. */
export function isAmong(ring: RingEpochs, { number, key }: Pick<RingEpoch, 'number' | 'key'>): boolean {
  return ring.some((epoch) => epoch.number === number && equalBytes(epoch.key, key));
}

function noteOtherKeys({ keyring, ordinal }: KeyringCandidate, problems: ReadProblem[]): void {
  const problem = `keyring ${keyring.number} does not go on with the keys of the one before it`;
  noteProblem(problems, { problem, ordinal });
}
