import { RecoverError } from '../errors.ts';
import type { Keyring } from '../format/keyring.ts';
import { KNOWN_SUITE } from '../format/ring.ts';
import { CommitVoices } from './commit-voices.ts';
import { type EpochKeys, keysOfFile, uniteKeys } from './epoch-keys.ts';
import type { Findings } from './findings.ts';
import { LineChooser, type Voices } from './keyring-line.ts';
import { growTree, type KeyringTree, type TreeNode } from './keyring-tree.ts';
import type { ArchiveKeys } from './keys.ts';
import { reportLine } from './line-report.ts';
import type { Shelf } from './shelf.ts';

/** The line of keyrings that is read: its last one says which writers count. */
export type KeyringLine = {
  /** Oldest first; empty where no keyring counts. */
  readonly keyrings: readonly Keyring[];
  readonly last: Keyring | undefined;
  /** The keys that a record of an epoch tries, in order. */
  readonly epochKeys: EpochKeys;
};

/**
 * Chooses the line of keyrings that counts, or takes the one that ends in the keyring that is told, and says what is
 * beside it and what is unproven (§14, "Lines of keyrings").
 *
 * @throws keyring.not_found, request.invalid
 */
export function chooseLine(
  shelf: Shelf,
  keys: ArchiveKeys,
  { told, findings }: { readonly told: string | undefined; readonly findings: Findings },
): KeyringLine {
  const tree = growTree(keys.keyrings, keys);
  const voices = listen(shelf, keys);
  const chooser = new LineChooser(tree, voices);
  const nodes = told === undefined ? chooser.lineFrom(tree.root) : lineTo(findTold(keys.keyrings, told), tree);
  reportLine({ nodes, tree, chooser, voices, keys }, findings);
  const keyrings = nodes.flatMap(({ keyring }) => keyring ?? []);
  const read = new Set(keyrings);
  const others = keys.keyrings.filter((keyring) => !read.has(keyring));
  const epochKeys =
    keys.keyFile === undefined
      ? uniteKeys(keys.rings, [...keyrings.toReversed(), ...others])
      : keysOfFile(keys.keyFile);
  return { keyrings, last: keyrings.at(-1), epochKeys };
}

function listen(shelf: Shelf, { archiveId, keyrings, rings, introductions, keyFile }: ArchiveKeys): Voices {
  // Those that nobody can forge first: keys of others must not take up the places.
  const isIntroduced = ({ writers }: Keyring) => introductions.holdFrom(writers, 0);
  const inOrder = [...keyrings.filter(isIntroduced), ...keyrings.filter((keyring) => !isIntroduced(keyring))];
  const tried = keyFile === undefined ? uniteKeys(rings, inOrder) : keysOfFile(keyFile);
  const commits = new CommitVoices(shelf, archiveId, tried);
  return {
    introductions,
    byKeyFile: keyFile !== undefined,
    opened: (keyring) => rings.has(keyring),
    isNamed: (node) => commits.isNamed(node, keyFile === undefined ? keyOf(node) : keyFile.get(node.epoch)),
    isCommitted: (writers, fromCommit) => commits.isCommitted(writers, fromCommit),
  };
}

/** The key of the epoch in a keyring's header, from the nearest ring that opened, its own or one before it. */
function keyOf({ ring, epoch }: TreeNode): Buffer | undefined {
  return ring?.find(({ number, suite }) => number === epoch && suite === KNOWN_SUITE)?.key;
}

function findTold(keyrings: readonly Keyring[], told: string): Keyring {
  const beginning = told.toLowerCase();
  if (!/^[0-9a-f]{1,64}$/.test(beginning))
    throw new RecoverError('request.invalid', { field: 'keyring', what: 'it is not the beginning of a SHA-256' });
  const found = keyrings.filter(({ hash }) => hash.toString('hex').startsWith(beginning));
  if (found.length > 1)
    throw new RecoverError('request.invalid', { field: 'keyring', what: `${found.length} keyrings begin with it` });
  if (found[0] === undefined) throw new RecoverError('keyring.not_found', { keyring: told });
  return found[0];
}

/** The line that ends in a keyring; one that follows nothing is a line of its own. */
function lineTo(keyring: Keyring, { root, nodes }: KeyringTree): readonly TreeNode[] {
  const line: TreeNode[] = [];
  for (let at = nodes.find((node) => node.keyring === keyring); at !== undefined && at !== root; at = at.before)
    line.unshift(at);
  if (line.length > 0) return line;
  const { writers, frame } = keyring;
  const alone = { keyring, writers, epoch: frame.epoch, listName: '', before: undefined, ring: undefined } as const;
  return [{ ...alone, step: 'gap', vouched: false, behind: [], goesOn: true }];
}
