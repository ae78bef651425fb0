import { openReleaseApproval, type KeyHolder, type ReleaseApproval, type SignedText } from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { approvesFromMs, isSameHolder, type RegisteredKey } from './key-register.ts';

/** What is approved, by whose keys it is judged, and when. */
export type ApprovedMatter = {
  /** Of the text of the document, hex. */
  readonly documentSha256: string;
  /** Who may not approve it; undefined where nobody asked. */
  readonly requester: KeyHolder | undefined;
  readonly keys: readonly RegisteredKey[];
  readonly nowMs: number;
};

/**
 * How many persons approve a document. One that does not count is refused with all, for the leaf shows it to people as an approval.
 *
 * @throws keystore.bad_approval, keystore.other_approval, keystore.self_approval, keystore.approved_twice,
 * keystore.unregistered_approver, keystore.young_approver
 */
export function countApprovals(approvals: readonly SignedText[], matter: ApprovedMatter): number {
  const approvers = approvals.map((approval) => judgeApproval(approval, matter));
  const persons = new Set(approvers.map(({ holder }) => holder.uid));
  if (persons.size < approvers.length) throw keystoreErrors.approved_twice();
  return persons.size;
}

/** How many persons may approve at an instant. */
export function countApprovers(keys: readonly RegisteredKey[], nowMs: number): number {
  return new Set(keys.filter((key) => mayApprove(key, nowMs)).map(({ holder }) => holder.uid)).size;
}

function judgeApproval(signed: SignedText, { documentSha256, requester, keys, nowMs }: ApprovedMatter): RegisteredKey {
  const { requestSha256, approverKey } = open(signed);
  const facts = { approverKey };
  if (requestSha256 !== documentSha256) throw keystoreErrors.other_approval(facts);
  const key = keys.find(({ publicKey }) => publicKey === approverKey);
  if (key && requester && isSameHolder(key.holder, requester)) throw keystoreErrors.self_approval(facts);
  const fromMs = key && approvesFromMs(key);
  if (key === undefined || fromMs === undefined) throw keystoreErrors.unregistered_approver(facts);
  if (!mayApprove(key, nowMs)) throw keystoreErrors.young_approver({ ...facts, countsFromMs: fromMs });
  return key;
}

function mayApprove(key: RegisteredKey, nowMs: number): boolean {
  const fromMs = approvesFromMs(key);
  return fromMs !== undefined && nowMs >= fromMs;
}

function open(signed: SignedText): ReleaseApproval {
  try {
    return openReleaseApproval(signed);
  } catch (error) {
    throw keystoreErrors.bad_approval({}, error);
  }
}
