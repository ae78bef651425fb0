import { CodedError } from '@holdfast/base';
import { parseReleaseApproval, type KnownRules } from '@holdfast/trust';
import type { FollowedLeaf, KeystoreLeaf } from './follow-log.ts';
import type { Tenant } from './judge-leaf.ts';
import { judgeRulesLeaf } from './judge-rules.ts';
import { registerKey, type RegisteredKey } from './key-register.ts';
import type { KeyState, TakenRules } from './release-store.ts';

/** What is known before leaves are taken in. */
export type KnownBefore = {
  readonly tenant: Tenant;
  readonly nowMs: number;
  /** Those that the leaves name, the first of all and, where the rules change, all of persons. */
  readonly keys: readonly RegisteredKey[];
  readonly rules: readonly KnownRules[];
};

/** What leaves change: to be kept whole, with how far the log was followed. */
export type TakenLeaves = {
  readonly states: readonly KeyState[];
  readonly rules: readonly TakenRules[];
  /** Those that change nothing, and why. */
  readonly refused: readonly { readonly logIndex: number; readonly kind: string; readonly code: string }[];
};

/** The public keys that leaves name, and whether all of persons are needed to judge them. */
export function keysNamed(leaves: readonly FollowedLeaf[]): {
  readonly publicKeys: string[];
  readonly persons: boolean;
} {
  const named = leaves.flatMap(({ leaf }) => namedBy(leaf));
  return { publicKeys: [...new Set(named)], persons: leaves.some(({ leaf }) => leaf.kind === 'release_rules') };
}

/**
 * Takes leaves in, one after the other: each is judged by what those before it left.
 *
 * One that is refused changes nothing; it stands in the log nevertheless, and the next one follows.
 */
export function takeLeaves(leaves: readonly FollowedLeaf[], before: KnownBefore): TakenLeaves {
  const { tenant, nowMs } = before;
  const keys = [...before.keys];
  const rules = [...before.rules];
  const taken = {
    states: [] as KeyState[],
    rules: [] as TakenRules[],
    refused: [] as TakenLeaves['refused'][number][],
  };
  for (const { logIndex, leaf } of leaves) {
    try {
      if (leaf.kind === 'release_rules') {
        const { number, known } = judgeRulesLeaf(leaf, { tenant, nowMs, keys, rules });
        rules.push(known);
        taken.rules.push({ number, logIndex, change: leaf.change });
      } else {
        const key = registerKey(keys, leaf, { tenantUid: tenant.tenantUid, nowMs });
        putKey(keys, key);
        taken.states.push({ logIndex, key });
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      taken.refused.push({ logIndex, kind: leaf.kind, code: error.code });
    }
  }
  return taken;
}

function putKey(keys: RegisteredKey[], key: RegisteredKey): void {
  const place = keys.findIndex(({ publicKey }) => publicKey === key.publicKey);
  if (place < 0) keys.push(key);
  else keys[place] = key;
}

function namedBy(leaf: KeystoreLeaf): readonly string[] {
  if (leaf.kind === 'release_rules') return leaf.approvals.map(({ text }) => parseReleaseApproval(text).approverKey);
  return leaf.kind === 'key_vouched' ? [leaf.publicKey, leaf.byKey] : [leaf.publicKey];
}
