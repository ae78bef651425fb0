import {
  appendLeaves,
  expectOutline,
  isAbout,
  isOutline,
  outlineHash,
  parseKeyLogLeaf,
  rootOf,
  subject,
  verifyConsistency,
  type Hash,
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
  /** A signed head, and the proof that its log begins with the kept leaves and these. */
  readonly head: { readonly note: string; readonly consistency: readonly Hash[] };
  /** Every entry behind the kept ones, in order, up to some place. */
  readonly outlines: readonly LeafOutline[];
  /** The text of each that is about the keystore, by its place in the log. */
  readonly texts: ReadonlyMap<number, string>;
};

/** A leaf that the keystore has to know, at its place in the log. */
export type FollowedLeaf = { readonly logIndex: number; readonly leaf: KeystoreLeaf };

/** How far the log was followed, and what it says: to be taken in one after the other, and kept together. */
export type FollowedLog = { readonly kept: TreeState; readonly leaves: readonly FollowedLeaf[] };

/**
 * Goes on in the key log over every leaf, so that none that the keystore has to know can be kept from it: that a key has
 * ended, or that the rules became stricter.
 *
 * What a leaf says may still be refused where it is taken in; then it changes nothing, and the next one follows.
 * @throws keystore.unsigned_head, keystore.older_head, keystore.forked_log, keystore.hidden_leaf
 */
export function followLog({ tenant, logVerifier, kept, head: shown, outlines, texts }: FollowFacts): FollowedLog {
  const head = openHead(tenant, shown.note, logVerifier);
  const sizes = { kept: kept.size, shown: head.treeSize };
  if (head.treeSize < kept.size) throw keystoreErrors.older_head(sizes);
  const { state } = appendLeaves(kept, outlines.map(outlineHash));
  const claim = { fromSize: state.size, fromRoot: rootOf(state), toSize: head.treeSize, toRoot: head.root };
  const goesOn = verifyConsistency(claim, shown.consistency);
  if (!goesOn || !outlines.every(isOutline)) throw keystoreErrors.forked_log(sizes);
  const leaves = outlines.flatMap((outline, place) => {
    if (!isAbout(outline, [subject.keystore])) return [];
    const logIndex = kept.size + place;
    return [{ logIndex, leaf: leafOf(outline, texts.get(logIndex), logIndex) }];
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
