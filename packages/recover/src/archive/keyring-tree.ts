import type { Keyring, Writer } from '../format/keyring.ts';
import type { Ring } from '../format/ring.ts';
import { sha256 } from '../format/sealing.ts';
import type { Introductions } from './introductions.ts';

/** How a keyring follows the one before it (§14, "Lines of keyrings"). */
export type Step = 'firm' | 'loose' | 'gap';

/** A keyring in the tree, or its root, which has no keyring and lists nobody. */
export type TreeNode = {
  readonly keyring: Keyring | undefined;
  readonly writers: readonly Writer[];
  /** What the list of writers is told from others by. */
  readonly listName: string;
  /** The epoch in the record's header; -1 for the root. */
  readonly epoch: number;
  readonly step: Step;
  /** Whether it adds no writer who was not introduced. */
  readonly vouched: boolean;
  readonly before: TreeNode | undefined;
  readonly behind: TreeNode[];
  /** The ring of the nearest keyring that opened, itself or before it. */
  readonly ring: Ring | undefined;
  /** Whether it, and each before it, goes on with the keys of those before it: else it counts for nothing. */
  readonly goesOn: boolean;
};

/** The keyrings that follow each other; `nodes` has the root first, and each before those behind it. */
export type KeyringTree = { readonly root: TreeNode; readonly nodes: readonly TreeNode[] };

/** What following asks besides the keyrings themselves. */
export type Growth = {
  readonly rings: ReadonlyMap<Keyring, Ring>;
  readonly introductions: Introductions;
};

/** Makes the tree of keyrings, given by rising number and hash. */
export function growTree(keyrings: readonly Keyring[], growth: Growth): KeyringTree {
  const grower = new Grower(keyrings, growth);
  grower.growBehind(0);
  const known = new Set(keyrings.map(({ hash }) => nameOf(hash)));
  for (const keyring of keyrings) {
    if (isFirst(keyring) || known.has(nameOf(keyring.previousHash))) continue;
    grower.growBehind(grower.attach(keyring, grower.nodeBeforeGap(keyring), 'gap'));
  }
  return { root: grower.nodes[0]!, nodes: grower.nodes };
}

const NO_KEYRING = Buffer.alloc(32);
const nameOf = (hash: Buffer): string => hash.toString('latin1');
const isFirst = ({ number, previousHash }: Keyring): boolean => number === 1 && previousHash.equals(NO_KEYRING);

/** The name of a list of writers that has one more than another. */
const longerName = (listName: string, writer: Writer): string =>
  nameOf(sha256(Buffer.from(listName, 'latin1'), writer.raw));

/** The names of the beginnings of a list, from one that is given, through to the whole list. */
export function* listNames(writers: readonly Writer[], from: number, listName: string): Generator<string> {
  let name = listName;
  yield name;
  for (const writer of writers.slice(from)) {
    name = longerName(name, writer);
    yield name;
  }
}

class Grower {
  readonly nodes: TreeNode[] = [];
  readonly #growth: Growth;
  readonly #byPrevious = new Map<string, Keyring[]>();
  readonly #byList = new Map<string, TreeNode[]>();

  constructor(keyrings: readonly Keyring[], growth: Growth) {
    this.#growth = growth;
    for (const keyring of keyrings) {
      const name = nameOf(keyring.previousHash);
      const others = this.#byPrevious.get(name);
      if (others === undefined) this.#byPrevious.set(name, [keyring]);
      else others.push(keyring);
    }
    const root = {
      keyring: undefined,
      writers: [],
      listName: '',
      epoch: -1,
      step: 'firm',
      vouched: true,
      before: undefined,
    } as const;
    this.#add({ ...root, behind: [], ring: undefined, goesOn: true });
  }

  /** Attaches all that is linked behind a node, given by its index, and behind that in turn. */
  growBehind(index: number): void {
    for (let at = index; at < this.nodes.length; at += 1) {
      const node = this.nodes[at]!;
      for (const keyring of this.#byPrevious.get(nameOf(node.keyring?.hash ?? NO_KEYRING)) ?? []) {
        if (keyring.number !== (node.keyring?.number ?? 0) + 1 || !beginsWith(keyring.writers, node.writers)) continue;
        this.attach(keyring, node, 'linked');
      }
    }
  }

  /** Adds a keyring behind a node; its index. */
  attach(keyring: Keyring, before: TreeNode, how: 'linked' | 'gap'): number {
    const vouched = this.#growth.introductions.holdFrom(keyring.writers, before.writers.length);
    const linked = vouched ? 'firm' : 'loose';
    const own = this.#growth.rings.get(keyring);
    const [listName] = [...listNames(keyring.writers, before.writers.length, before.listName)].slice(-1);
    const node: TreeNode = {
      keyring,
      writers: keyring.writers,
      listName: listName!,
      epoch: keyring.frame.epoch,
      step: how === 'linked' ? linked : how,
      vouched,
      before,
      behind: [],
      ring: own ?? before.ring,
      goesOn: goesOnBehind(before, keyring, own),
    };
    before.behind.push(node);
    return this.#add(node);
  }

  /** Where a keyring hangs whose predecessor is not at hand. */
  nodeBeforeGap(keyring: Keyring): TreeNode {
    const own = this.#growth.rings.get(keyring);
    let best = this.nodes[0]!;
    for (const listName of listNames(keyring.writers, 0, '')) {
      const nodes = this.#byList.get(listName) ?? [];
      // From the newest on: most of those before it are not nearer, and that is soon told.
      for (let index = nodes.length - 1; index >= 0; index -= 1) {
        const node = nodes[index]!;
        if ((node.keyring?.number ?? 0) >= keyring.number || !isNearer(node, best)) continue;
        if (goesOnBehind(node, keyring, own)) best = node;
      }
    }
    return best;
  }

  #add(node: TreeNode): number {
    const others = this.#byList.get(node.listName);
    if (others === undefined) this.#byList.set(node.listName, [node]);
    else others.push(node);
    return this.nodes.push(node) - 1;
  }
}

function isNearer({ keyring: a }: TreeNode, { keyring: b }: TreeNode): boolean {
  if (a === undefined || b === undefined) return b === undefined;
  return a.number > b.number || (a.number === b.number && Buffer.compare(a.hash, b.hash) < 0);
}

function beginsWith(writers: readonly Writer[], beginning: readonly Writer[]): boolean {
  return beginning.every((writer, index) => writers[index]?.raw.equals(writer.raw) === true);
}

/** Whether a keyring goes on with the keys of a node and of all before it, each of which does so in its turn. */
function goesOnBehind(before: TreeNode, keyring: Keyring, ring: Ring | undefined): boolean {
  if (!before.goesOn || keyring.frame.epoch < before.epoch) return false;
  if (ring === undefined || before.ring === undefined) return true;
  const keys = new Map(ring.map(({ number, key }) => [number, key]));
  return before.ring.every(({ number, key }) => keys.get(number)?.equals(key) === true);
}
