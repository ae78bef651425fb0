import {
  appendLeaves,
  expectOutline,
  isAbout,
  isOutline,
  outlineHash,
  parseKeyLogLeaf,
  rootOf,
  subject,
  type KeyLogLeaf,
  type LeafOutline,
  type ReleaseRulesChanged,
  type TreeState,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { openHead, type Tenant } from './judge-leaf.ts';
import { keyLeafKinds, type KeyLeaf } from './key-register.ts';

/** A leaf that the keystore has to know: of a key, or of the rules. */
export type KeystoreLeaf = KeyLeaf | ReleaseRulesChanged;

/** A stretch of the tenant's key log, as the api shows it; `logVerifier` and `kept` are the keystore's own. */
export type FollowFacts = {
  readonly tenant: Tenant;
  readonly logVerifier: string;
  /** The tree over all leaves that were followed; `emptyTree` at first. */
  readonly kept: TreeState;
  /** Signed head over the kept leaves and these. */
  readonly note: string;
  /** Every entry behind the kept ones, in order. */
  readonly outlines: readonly LeafOutline[];
  /** The text of each that is about the keystore, by its place in the log. */
  readonly texts: ReadonlyMap<number, string>;
};

/** How far the log was followed, and what it says: to be taken in one after the other, and kept together. */
export type FollowedLog = { readonly kept: TreeState; readonly leaves: readonly KeystoreLeaf[] };

/**
 * Goes on in the key log over every leaf, so that none that the keystore has to know can be kept from it: that a key has
 * ended, or that the rules became stricter.
 *
 * What a leaf says may still be refused where it is taken in; then it changes nothing, and the next one follows.
 * @throws keystore.unsigned_head, keystore.older_head, keystore.forked_log, keystore.hidden_leaf
 */
export function followLog({ tenant, logVerifier, kept, note, outlines, texts }: FollowFacts): FollowedLog {
  const head = openHead(tenant, note, logVerifier);
  const sizes = { kept: kept.size, shown: head.treeSize };
  if (head.treeSize < kept.size) throw keystoreErrors.older_head(sizes);
  const { state } = appendLeaves(kept, outlines.map(outlineHash));
  const isSame = state.size === head.treeSize && Buffer.compare(rootOf(state), head.root) === 0;
  if (!isSame || !outlines.every(isOutline)) throw keystoreErrors.forked_log(sizes);
  const leaves = outlines.flatMap((outline, place) => {
    if (!isAbout(outline, [subject.keystore])) return [];
    return [leafOf(outline, texts.get(kept.size + place), kept.size + place)];
  });
  return { kept: state, leaves };
}

function leafOf(outline: LeafOutline, text: string | undefined, logIndex: number): KeystoreLeaf {
  if (text === undefined) throw keystoreErrors.hidden_leaf({ logIndex });
  let leaf: KeyLogLeaf;
  try {
    leaf = parseKeyLogLeaf(text);
    expectOutline(outline, leaf);
  } catch (error) {
    throw keystoreErrors.hidden_leaf({ logIndex }, error);
  }
  if (isForKeystore(leaf)) return leaf;
  throw keystoreErrors.hidden_leaf({ logIndex, kind: leaf.kind });
}

function isForKeystore(leaf: KeyLogLeaf): leaf is KeystoreLeaf {
  return leaf.kind === 'release_rules' || keyLeafKinds.some((kind) => kind === leaf.kind);
}
