import {
  keyLogOrigin,
  openCheckpoint,
  outlineHash,
  parseKeyLogLeaf,
  parseVerifierKey,
  verifyConsistency,
  verifyInclusion,
  writeKeyLogLeaf,
  emptyTree,
  rootOf,
  type Hash,
  type KeyLogKind,
  type KeyLogLeaf,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';

/** Whose keys these are. */
export type Tenant = { readonly installationId: string; readonly tenantUid: string };

/** The newest head of a tenant's key log that was believed. */
export type KeptHead = { readonly treeSize: number; readonly root: Hash };

/** The head of a log of which nothing is known yet: every log goes on from it. */
export const noHead: KeptHead = { treeSize: 0, root: rootOf(emptyTree) };

/** A leaf, and what shows that it stands in the tenant's log; all but `logVerifier` and `kept` is the api's word. */
export type LeafFacts = {
  /** Verifier key (note) of the tenant's log, as it was given when the tenant's keys were made. */
  readonly logVerifier: string;
  readonly kept: KeptHead;
  /** All leaves up to the kept head were followed: a newer one is not taken, for a leaf in between may say that a key has ended. */
  readonly isFollowed?: boolean;
  readonly head: { readonly note: string; readonly consistency: readonly Hash[] };
  /** Its text, its place from 0, and the proof that it is there under this head. */
  readonly leaf: { readonly text: string; readonly logIndex: number; readonly inclusion: readonly Hash[] } | undefined;
};

/** A leaf that stands in the log. */
export type JudgedLeaf<Kind extends KeyLogKind> = {
  readonly leaf: Extract<KeyLogLeaf, { kind: Kind }>;
  readonly leafHash: Hash;
  /** To be kept before anything is done. */
  readonly head: KeptHead;
};

/**
 * Judges that a leaf of one of these kinds stands in the tenant's log, under a head that goes on from the last one.
 *
 * The entry in the tree is computed here from the text, with the labels it has to have: so whoever a leaf is about can find it.
 * @throws keystore.no_leaf, keystore.unsigned_head, keystore.older_head, keystore.forked_log, keystore.not_followed, keystore.forged_proof
 */
export function judgeLeaf<Kind extends KeyLogKind>(
  tenant: Tenant,
  facts: LeafFacts,
  kinds: readonly Kind[],
): JudgedLeaf<Kind> {
  if (facts.leaf === undefined) throw keystoreErrors.no_leaf();
  const head = judgeHead(tenant, facts);
  const leaf = leafOf(facts.leaf.text, kinds);
  const leafHash = outlineHash(writeKeyLogLeaf(leaf).outline);
  const { logIndex: leafIndex, inclusion } = facts.leaf;
  if (!verifyInclusion({ ...head, leafHash, leafIndex }, inclusion)) throw keystoreErrors.forged_proof({ leafIndex });
  return { leaf, leafHash, head };
}

function judgeHead(tenant: Tenant, facts: LeafFacts): KeptHead {
  const { logVerifier, kept, isFollowed = false } = facts;
  const { note, consistency } = facts.head;
  const head = openHead(tenant, note, logVerifier);
  const sizes = { kept: kept.treeSize, shown: head.treeSize };
  if (head.treeSize < kept.treeSize) throw keystoreErrors.older_head(sizes);
  if (isFollowed && head.treeSize > kept.treeSize) throw keystoreErrors.not_followed(sizes);
  const claim = { fromSize: kept.treeSize, fromRoot: kept.root, toSize: head.treeSize, toRoot: head.root };
  if (!verifyConsistency(claim, consistency)) throw keystoreErrors.forked_log(sizes);
  return head;
}

/** Opens a signed head of the tenant's key log. @throws keystore.unsigned_head */
export function openHead({ installationId, tenantUid }: Tenant, note: string, logVerifier: string): KeptHead {
  try {
    const origin = keyLogOrigin(installationId, tenantUid);
    const { treeSize, root } = openCheckpoint(note, origin, [parseVerifierKey(logVerifier)]);
    return { treeSize, root };
  } catch (error) {
    throw keystoreErrors.unsigned_head({}, error);
  }
}

function leafOf<Kind extends KeyLogKind>(text: string, kinds: readonly Kind[]): Extract<KeyLogLeaf, { kind: Kind }> {
  let leaf: KeyLogLeaf;
  try {
    leaf = parseKeyLogLeaf(text);
  } catch (error) {
    throw keystoreErrors.no_leaf({}, error);
  }
  if (!isOfKind(leaf, kinds)) throw keystoreErrors.no_leaf({ kind: leaf.kind });
  return leaf;
}

function isOfKind<Kind extends KeyLogKind>(
  leaf: KeyLogLeaf,
  kinds: readonly Kind[],
): leaf is Extract<KeyLogLeaf, { kind: Kind }> {
  return kinds.some((kind) => kind === leaf.kind);
}
