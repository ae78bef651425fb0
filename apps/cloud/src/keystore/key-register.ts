import { isKeyVouched, type KeyHolder, type KeyLogLeaf } from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';

/** A public key as the keystore knows it, from leaves alone and by its own clock (milliseconds since 1970). */
export type RegisteredKey = {
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
  readonly holder: KeyHolder;
  readonly firstSeenMs: number;
  /** It was the first key of the tenant, or an older one vouched for it: it need not wait to ask. */
  readonly isTrustedAtOnce: boolean;
  /** Since when it may approve, to which a day is added; null where it may not. */
  readonly approvesSinceMs: number | null;
  readonly endedMs: number | null;
};

/** A leaf that says something of a key. */
export type KeyLeaf = Extract<
  KeyLogLeaf,
  { kind: 'key_registered' | 'key_ended' | 'person_key_registered' | 'person_key_ended' | 'key_vouched' }
>;

/** The kinds of those leaves. */
export const keyLeafKinds = [
  'key_registered',
  'key_ended',
  'person_key_registered',
  'person_key_ended',
  'key_vouched',
] as const;

/** A new key waits so long before it counts: for its leaf to be seen. */
export const KEY_WAIT_MS = 24 * 3_600_000;

/**
 * What becomes known of a key by a leaf that stands in the log: the row to keep in place of the one with its public key.
 *
 * A leaf that says what is known changes nothing. Whoever ended stays so, in whatever order leaves come: a key is of one holder, once.
 * Nobody who may approve for the first time approves before a day has passed, whoever vouches, but the first key of a tenant.
 * @param keys all keys of the tenant
 * @throws keystore.key_known, keystore.unregistered_key, keystore.ended_key, keystore.young_key, keystore.not_vouched
 */
export function registerKey(
  keys: readonly RegisteredKey[],
  leaf: KeyLeaf,
  { tenantUid, nowMs }: { readonly tenantUid: string; readonly nowMs: number },
): RegisteredKey {
  if (leaf.kind === 'key_vouched') return vouch(keys, leaf, { tenantUid, nowMs });
  const known = expectFitting(keys, leaf);
  const key = known ?? newKey(leaf, { isFirst: keys.length === 0, nowMs });
  if (leaf.kind === 'key_ended' || leaf.kind === 'person_key_ended')
    return { ...key, approvesSinceMs: null, endedMs: key.endedMs ?? nowMs };
  if (leaf.kind === 'key_registered' || !leaf.mayApprove) return { ...key, approvesSinceMs: null };
  // The first key of all is believed at once, in this too: nobody was there who could have been asked.
  const newSinceMs = keys.length === 0 ? nowMs - KEY_WAIT_MS : nowMs;
  return { ...key, approvesSinceMs: key.approvesSinceMs ?? newSinceMs };
}

/** Expects that a key is registered, has not ended and is old enough to ask. @throws keystore.unregistered_key, keystore.ended_key, keystore.young_key */
export function expectTrusted(keys: readonly RegisteredKey[], publicKey: string, nowMs: number): RegisteredKey {
  const key = keys.find((one) => one.publicKey === publicKey);
  if (key === undefined) throw keystoreErrors.unregistered_key({ publicKey });
  if (key.endedMs !== null) throw keystoreErrors.ended_key({ publicKey });
  if (!key.isTrustedAtOnce && nowMs < key.firstSeenMs + KEY_WAIT_MS)
    throw keystoreErrors.young_key({ publicKey, countsFromMs: key.firstSeenMs + KEY_WAIT_MS });
  return key;
}

/** From when on a key's approvals count (milliseconds since 1970); undefined where they never do. */
export function approvesFromMs({ holder, endedMs, approvesSinceMs }: RegisteredKey): number | undefined {
  const never = holder.kind !== 'person' || endedMs !== null || approvesSinceMs === null;
  return never ? undefined : approvesSinceMs + KEY_WAIT_MS;
}

/** Whether two are one and the same. */
export function isSameHolder(one: KeyHolder, other: KeyHolder): boolean {
  return one.kind === other.kind && one.uid === other.uid;
}

function vouch(
  keys: readonly RegisteredKey[],
  leaf: Extract<KeyLeaf, { kind: 'key_vouched' }>,
  { tenantUid, nowMs }: { readonly tenantUid: string; readonly nowMs: number },
): RegisteredKey {
  const { holder, publicKey, by, byKey, signature } = leaf;
  const key = keys.find((one) => one.publicKey === publicKey);
  if (key === undefined) throw keystoreErrors.unregistered_key({ publicKey });
  const older = expectTrusted(keys, byKey, nowMs);
  const isNamed = isSameHolder(key.holder, holder) && isSameHolder(older.holder, by) && byKey !== publicKey;
  // What a computer holds is as safe as the computer: it does not bring in a person.
  const isBelow = holder.kind === 'device' || older.holder.kind === 'person';
  const isSigned = isKeyVouched({ tenantUid, holder, publicKey }, { publicKey: byKey, signature });
  if (!isNamed || !isBelow || !isSigned) throw keystoreErrors.not_vouched({ publicKey, byKey });
  return { ...key, isTrustedAtOnce: true };
}

type OwnKeyLeaf = Exclude<KeyLeaf, { kind: 'key_vouched' }>;

/** What is known of the leaf's key, which must be the same holder's and, where the leaf registers it, not have ended. */
function expectFitting(keys: readonly RegisteredKey[], leaf: OwnKeyLeaf): RegisteredKey | undefined {
  const { publicKey } = leaf;
  const known = keys.find((key) => key.publicKey === publicKey);
  if (known === undefined) return undefined;
  if (!isSameHolder(known.holder, holderOf(leaf))) throw keystoreErrors.key_known({ publicKey });
  const isEnd = leaf.kind === 'key_ended' || leaf.kind === 'person_key_ended';
  if (known.endedMs !== null && !isEnd) throw keystoreErrors.key_known({ publicKey, fact: 'it has ended' });
  return known;
}

function newKey(leaf: OwnKeyLeaf, { isFirst, nowMs }: { readonly isFirst: boolean; readonly nowMs: number }) {
  const { publicKey } = leaf;
  const state = { firstSeenMs: nowMs, isTrustedAtOnce: isFirst, approvesSinceMs: null, endedMs: null };
  return { publicKey, holder: holderOf(leaf), ...state };
}

function holderOf(leaf: OwnKeyLeaf): KeyHolder {
  return 'deviceUid' in leaf ? { kind: 'device', uid: leaf.deviceUid } : { kind: 'person', uid: leaf.userUid };
}
