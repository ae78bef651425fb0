/** What the keystore releases, and what it refuses: judged by what it is shown, and nothing on anybody's word. */
import { createHash } from 'node:crypto';
import type { Keyring } from '@holdfast/archive/keyring';
import { assert, parseUuid } from '@holdfast/base';
import {
  isArchiveOwner,
  isNoticeEnough,
  isReleaseExpired,
  openReleaseRequest,
  parseReleaseRequest,
  releaseRequestSha256,
  rulesInForce,
  type Hash,
  type KnownRules,
  type Release,
  type ReleasePurpose,
  type ReleaseRequest,
  type SignedText,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { countApprovals } from './judge-approvals.ts';
import { judgeLeaf, type KeptHead, type LeafFacts, type Tenant } from './judge-leaf.ts';
import { expectEscrowSlot, readKeyring } from './read-keyring.ts';
import { expectTrusted, isSameHolder, type RegisteredKey } from './key-register.ts';

/** A leaf that waits for the delay of its purpose. */
export type WaitingLeaf = {
  /** Hex. */
  readonly leafHash: string;
  /** Since when the keystore knows it, by its own clock (milliseconds since 1970). */
  readonly sinceMs: number;
};

/** A request that was granted. */
export type UsedRequest = {
  readonly requestId: string;
  /** Whose it is: another's of the same number is another request. Empty where it was kept before that was known: everybody's. */
  readonly requesterKey: string;
  /** Of the one leaf that it counts under; hex. */
  readonly leafHash: string;
  /** By the keystore's own clock (milliseconds since 1970). */
  readonly usedMs: number;
};

/** All that a release is judged by. `request`, `keyring`, head and leaf are the api's word; the rest the keystore's own knowledge. */
export type ReleaseFacts = LeafFacts & {
  readonly tenant: Tenant;
  readonly nowMs: number;
  readonly request: SignedText;
  /** The whole record. */
  readonly keyring: Uint8Array;
  /** All keys of the tenant. */
  readonly keys: readonly RegisteredKey[];
  /** All changes of the rules that were taken in, by rising number. */
  readonly rules: readonly KnownRules[];
  readonly used: readonly UsedRequest[];
  readonly waiting: readonly WaitingLeaf[];
};

/** What may be opened, and for whom. */
export type Grant = {
  readonly purpose: ReleasePurpose;
  readonly scope: ReleaseRequest['scope'];
  readonly epochs: ReleaseRequest['epochs'];
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** 16 bytes. */
  readonly slotId: Uint8Array;
  readonly keyring: Uint8Array;
  /** X25519, 32 bytes. */
  readonly recipientKey: Uint8Array;
  readonly leafHash: Hash;
};

/** A request that is granted, once `keep` lies on the disk; or one whose delay has not passed, to be sent again then. */
export type ReleaseVerdict =
  | {
      readonly status: 'granted';
      readonly grant: Grant;
      /** `use` is undefined where it is kept already. */
      readonly keep: { readonly head: KeptHead; readonly use: UsedRequest | undefined };
    }
  | {
      readonly status: 'waiting';
      readonly opensAtMs: number;
      readonly keep: { readonly head: KeptHead; readonly waiting: WaitingLeaf };
    };

/** A request counts for so long at most. It leaves room for the longest delay. */
export const LONGEST_REQUEST_MS = 60 * 24 * 3_600_000;

/** So long a request that was granted is answered again under its leaf, for an answer may be lost. */
export const ANSWER_AGAIN_MS = 24 * 3_600_000;

/**
 * Judges a request to release keys of an archive. Pure: the same facts give the same verdict.
 *
 * @throws keystore.*, of which each says why; nothing is to be kept then
 */
export function judgeRelease(facts: ReleaseFacts): ReleaseVerdict {
  const { keys, nowMs } = facts;
  const { leaf, leafHash, head } = judgeLeaf(facts.tenant, facts, ['release']);
  const name = Buffer.from(leafHash).toString('hex');
  const { request, before } = judgeRequest(facts, leaf, name);
  const keyring = judgeKeyring(facts.keyring, request);
  const purpose = judgePurpose(facts, { leaf, request, keyring });
  const rule = rulesInForce(facts.rules, nowMs)[purpose];
  if (!isNoticeEnough(leaf.notice, rule.notice)) throw keystoreErrors.notice_refused({ purpose, notice: rule.notice });
  const documentSha256 = releaseRequestSha256(leaf.request.text);
  const approvals = countApprovals(leaf.approvals, { keys, nowMs, documentSha256, requester: leaf.requester });
  if (approvals < rule.approvals) throw keystoreErrors.purpose_refused({ purpose, approvals, needed: rule.approvals });
  const sinceMs = facts.waiting.find((one) => one.leafHash === name)?.sinceMs ?? nowMs;
  const opensAtMs = sinceMs + rule.delayHours * 3_600_000;
  if (nowMs < opensAtMs) return { status: 'waiting', opensAtMs, keep: { head, waiting: { leafHash: name, sinceMs } } };
  const use = before ? undefined : usedNow(request, name, nowMs);
  const grant = grantOf(request, { purpose, keyring: facts.keyring, leafHash });
  return { status: 'granted', grant, keep: { head, use } };
}

/** Expects the request of this leaf, signed, for this tenant, that counts now, and under no other leaf; its use, where it is not the first. */
function judgeRequest(
  { request: asked, tenant, nowMs, used }: ReleaseFacts,
  leaf: Release,
  leafHash: string,
): { readonly request: ReleaseRequest; readonly before: UsedRequest | undefined } {
  expectSame(asked, leaf.request);
  const request = open(asked);
  if (request.installationId !== tenant.installationId || request.tenantUid !== tenant.tenantUid)
    throw keystoreErrors.other_tenant();
  const { expiresAt, requestId } = request;
  if (isReleaseExpired(request, nowMs)) throw keystoreErrors.expired({ expiresAt });
  if (Date.parse(expiresAt) > nowMs + LONGEST_REQUEST_MS) throw keystoreErrors.expires_late({ expiresAt });
  const isOfRequester = ({ requesterKey }: UsedRequest) => ['', request.requesterKey].includes(requesterKey);
  const before = used.find((one) => one.requestId === requestId && isOfRequester(one));
  // The same keys to the same recipient, as the log says already: whoever lost the answer, and whoever has it, learns nothing new.
  const isAgain = before?.leafHash === leafHash && nowMs < before.usedMs + ANSWER_AGAIN_MS;
  if (before && !isAgain) throw keystoreErrors.used({ requestId });
  return { request, before };
}

function usedNow({ requestId, requesterKey }: ReleaseRequest, leafHash: string, usedMs: number): UsedRequest {
  return { requestId, requesterKey, leafHash, usedMs };
}

function expectSame(asked: SignedText, logged: SignedText): void {
  if (asked.text === logged.text && asked.signature === logged.signature) return;
  const isOtherRecipient = asked.text !== logged.text && read(asked).recipientKey !== read(logged).recipientKey;
  throw isOtherRecipient ? keystoreErrors.other_recipient() : keystoreErrors.other_leaf();
}

function open(signed: SignedText): ReleaseRequest {
  read(signed);
  try {
    return openReleaseRequest(signed);
  } catch (error) {
    throw keystoreErrors.forged_request({}, error);
  }
}

function read({ text }: SignedText): ReleaseRequest {
  try {
    return parseReleaseRequest(text);
  } catch (error) {
    throw keystoreErrors.bad_request({}, error);
  }
}

/** Expects the keyring that the request names, with its escrow slot. Who wrote it the ring decides, which is sealed with it. */
function judgeKeyring(record: Uint8Array, { keyringSha256, slotId }: ReleaseRequest): Keyring {
  if (createHash('sha256').update(record).digest('hex') !== keyringSha256) throw keystoreErrors.other_keyring();
  const keyring = readKeyring(record);
  expectEscrowSlot(keyring, new Uint8Array(Buffer.from(slotId, 'hex')));
  return keyring;
}

type Judged = { readonly leaf: Release; readonly request: ReleaseRequest; readonly keyring: Keyring };

/** Expects a requester whose key counts, as the leaf names it, and the purpose that follows from who asks for what. */
function judgePurpose({ keys, nowMs }: ReleaseFacts, judged: Judged): ReleasePurpose {
  const { leaf, request } = judged;
  const { holder } = expectTrusted(keys, request.requesterKey, nowMs);
  if (!isSameHolder(holder, leaf.requester)) throw keystoreErrors.misnamed_requester();
  const isOwner = holder.kind === 'device' && isOwnArchive(judged);
  const purpose = request.scope === 'ring' ? 'replacement' : isOwner ? 'own_restore' : 'admin_restore';
  if (leaf.purpose !== purpose) throw keystoreErrors.other_purpose({ purpose, logged: leaf.purpose });
  return purpose;
}

/**
 * Whether the newest writer of the keyring states that the archive is the requester's.
 *
 * The list of writers is sealed with the ring: who put another writer in it gets the ring that it sealed itself.
 */
function isOwnArchive({ leaf: { ownerSignature: signature }, request, keyring }: Judged): boolean {
  if (signature === null) return false;
  const owned = { archiveId: bytesOf(request.archiveId), deviceKey: request.requesterKey };
  const { publicKey: writerKey } = keyring.writers.at(-1)!;
  if (!isArchiveOwner(owned, { writerKey, signature })) throw keystoreErrors.forged_owner();
  return true;
}

function grantOf(
  { archiveId, slotId, scope, epochs, recipientKey }: ReleaseRequest,
  judged: Pick<Grant, 'purpose' | 'keyring' | 'leafHash'>,
): Grant {
  return {
    ...judged,
    scope,
    epochs,
    archiveId: bytesOf(archiveId),
    slotId: new Uint8Array(Buffer.from(slotId, 'hex')),
    recipientKey: new Uint8Array(Buffer.from(recipientKey, 'base64url')),
  };
}

function bytesOf(uuid: string): Uint8Array {
  const bytes = parseUuid(uuid);
  assert(bytes, 'the shape of a request has said that it is a UUID');
  return bytes;
}
