import { rulesInForce, type KnownRules, type ReleaseRules, type SignedText } from '@holdfast/trust';
import type { Keystore } from '../../keystore/operations.ts';
import { bringKeystore, type ShowDeps } from '../keylog/index.ts';

/** What asking the keystore for the rules needs. */
export type RulesDeps = Omit<ShowDeps, 'keystore'> & {
  readonly keystore: ShowDeps['keystore'] & Pick<Keystore, 'releaseRules'>;
};

/** A change of the rules, with the approvals that its leaf would have. */
export type ProposedRules = { readonly change: string; readonly approvals: readonly SignedText[] };

/** The rules of release as the keystore knows them, which alone count. */
export type KeystoreRules = {
  readonly rules: readonly KnownRules[];
  /** The rules in force at an instant. */
  readonly rulesAt: (nowMs: number) => ReleaseRules;
  /** Whether a change counts: by the SHA-256 (hex) of its text. */
  readonly counts: (changeSha256: string) => boolean;
  /** How many leaves of the key log it has followed. */
  readonly treeSize: number;
  /** Why what is proposed would not count as the next leaf. */
  readonly refusal: string | undefined;
};

/**
 * Shows the keystore all of the key log, and asks it for the rules of release, and for what it says of a change.
 *
 * The leaves alone do not tell them: the keystore dates keys by its own clock, and may have refused one that looks well here.
 * @throws keystore.*, where it is away, has no such tenant or does not believe the log
 */
export async function askKeystoreRules(
  deps: RulesDeps,
  tenantUid: string,
  proposed?: ProposedRules,
): Promise<KeystoreRules> {
  await bringKeystore(deps, tenantUid);
  return readKeystoreRules(deps, tenantUid, proposed);
}

/** The same of as much of the log as the keystore has followed. @throws keystore.away, keystore.tenant_unknown */
export async function readKeystoreRules(
  { keystore }: Pick<RulesDeps, 'keystore'>,
  tenantUid: string,
  proposed?: ProposedRules,
): Promise<KeystoreRules> {
  const asked = proposed && { change: proposed.change, approvals: [...proposed.approvals] };
  const answer = await keystore.releaseRules({ tenantUid, ...(asked && { proposed: asked }) });
  const rules = answer.changes.map((one) => ({ rules: one.rules, knownSinceMs: Date.parse(one.knownSince) }));
  const shas = new Set(answer.changes.map(({ changeSha256 }) => changeSha256));
  return {
    rules,
    rulesAt: (nowMs) => rulesInForce(rules, nowMs),
    counts: (changeSha256) => shas.has(changeSha256),
    treeSize: answer.treeSize,
    refusal: answer.refusal ?? undefined,
  };
}
