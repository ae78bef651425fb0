import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute, open } from './route.ts';
import { base64UrlBytes, Instant, Sha256Hex } from './shapes.ts';
import { ArchiveId } from './storage.ts';

/** Failures about releases of keys; `details.reason` of a refusal says why, and a leaf of the key log has it. */
export const releasesErrors = defineErrors('releases', {
  unknown_key: ['unauthenticated', 'The document is not signed by a key that is registered with this tenant'],
  stale_call: ['unauthenticated', 'The call was not signed just now, by the time of the server'],
  malformed: ['invalid', 'The document is not one that the server knows'],
  other_call: ['invalid', 'The call was signed for something else'],
  not_found: ['not_found', 'There is no such release'],
  archive_not_found: ['not_found', 'There is no such archive, or nothing of it has come yet'],
  archive_ambiguous: ['conflict', 'Several computers have that name'],
  no_escrow: ['not_found', 'The newest keyring of the archive has no slot for escrow'],
  not_requester: ['forbidden', 'Only who asked for a release takes it'],
  not_person: ['forbidden', 'Only a person does that'],
  refused: ['forbidden', 'It is refused'],
  settled: ['conflict', 'The release was granted or refused already'],
  waiting: ['conflict', 'The release waits'],
  too_many: ['exhausted', 'Too many requests in a day'],
  keystore_away: ['unavailable', 'The keystore does not answer just now'],
});

/** A document and its signature, as `@holdfast/trust` makes them. */
const signed = (mostCharacters: number) =>
  z.strictObject({ text: z.string().min(2).max(mostCharacters), signature: base64UrlBytes(64) });
const call = signed(2_048);
const signedRequest = signed(16_384);
const signedApproval = signed(512);

/** Who holds a key. */
const Holder = z.strictObject({ kind: z.enum(['device', 'person']), uid: z.uuid() });

/** How a release stands. */
export const ReleaseState = z.object({
  requestSha256: Sha256Hex,
  archiveId: ArchiveId,
  /** `asked`: it lacks approvals. `logged`: its leaf stands in the log. `granted`: it was opened for its recipient. */
  state: z.enum(['asked', 'logged', 'granted', 'refused', 'expired']),
  purpose: z.enum(['own_restore', 'admin_restore', 'replacement']),
  requester: Holder,
  /** For people; the request says it as signed. */
  requesterName: z.string(),
  deviceName: z.string(),
  /** The request as it was signed: what somebody who approves reads, and what the approval names. */
  request: z.string().max(16_384),
  approvals: z.array(z.object({ userUid: z.uuid(), username: z.string(), approvedAt: Instant })),
  approvalsNeeded: z.number().int(),
  askedAt: Instant,
  expiresAt: Instant,
  /** From when on it is opened, as far as the server knows; null before its leaf is there. */
  opensAt: Instant.nullable(),
  /** The place of its leaf in the key log. */
  logIndex: z.number().int().nullable(),
  /** Why it was refused. */
  code: z.string().nullable(),
});
export type ReleaseState = z.infer<typeof ReleaseState>;

/** What a release takes, by purpose. */
const Rule = z.object({
  approvals: z.number().int(),
  delayHours: z.number().int(),
  notice: z.enum(['owner', 'everyone']),
});
const Rules = z.object({ own_restore: Rule, admin_restore: Rule, replacement: Rule });

/** A change of the rules, proposed or in the log. */
const RulesChangeState = z.object({
  changeSha256: Sha256Hex,
  number: z.number().int(),
  change: z.string().max(2_048),
  /** `logged`: its leaf stands in the log. `refused`: it stands there, and the keystore did not take it. */
  state: z.enum(['proposed', 'logged', 'refused']),
  approvals: z.array(z.object({ userUid: z.uuid(), username: z.string(), approvedAt: Instant })),
  approvalsNeeded: z.number().int(),
  proposedAt: Instant,
  logIndex: z.number().int().nullable(),
});
export type RulesChangeState = z.infer<typeof RulesChangeState>;

const byCall = (what: string) => open(`the call in the request is signed by a registered key: it ${what}`);
const byDocument = open('the document in the request is signed by a registered key');
const asked = { method: 'POST', maxBodyBytes: 24_576, maxReplyBytes: 4 * 1024 * 1024 } as const;
const known = [releasesErrors.unknown_key, releasesErrors.malformed] as const;
const called = [...known, releasesErrors.stale_call, releasesErrors.other_call] as const;

/** Routes of releases: each takes a signed document as the proof of who asks. */
export const releaseRoutes = {
  archive: defineRoute({
    ...asked,
    path: '/v1/releases/archive',
    summary: 'Say what a request for keys of an archive has to name: the newest keyring and its slot for escrow',
    permission: byCall('names an archive or a computer'),
    body: z.strictObject({ call }),
    status: 200,
    reply: z.object({
      archiveId: ArchiveId,
      deviceUid: z.uuid(),
      deviceName: z.string(),
      keyringNumber: z.number().int(),
      keyringSha256: Sha256Hex,
      slotId: z.string().regex(/^[0-9a-f]{32}$/),
    }),
    errors: [...called, releasesErrors.archive_not_found, releasesErrors.archive_ambiguous, releasesErrors.no_escrow],
  }),
  request: defineRoute({
    ...asked,
    path: '/v1/releases',
    summary: 'Ask for keys of an archive; the same request again says how it stands',
    permission: byDocument,
    body: z.strictObject({ request: signedRequest }),
    status: 201,
    reply: ReleaseState,
    errors: [...known, releasesErrors.refused, releasesErrors.too_many, releasesErrors.keystore_away],
  }),
  approve: defineRoute({
    ...asked,
    path: '/v1/releases/approvals',
    summary: 'Approve a release; with the last approval it is logged and opened',
    permission: byDocument,
    body: z.strictObject({ tenantUid: z.uuid(), approval: signedApproval }),
    status: 200,
    reply: ReleaseState,
    errors: [
      ...known,
      releasesErrors.refused,
      releasesErrors.too_many,
      releasesErrors.not_found,
      releasesErrors.settled,
    ],
  }),
  list: defineRoute({
    ...asked,
    path: '/v1/releases/list',
    summary: 'List releases: for a person those of the tenant, for a device its own, the newest first',
    permission: byCall('names a request, or none'),
    body: z.strictObject({ call }),
    status: 200,
    reply: z.object({ releases: z.array(ReleaseState) }),
    errors: called,
  }),
  take: defineRoute({
    ...asked,
    path: '/v1/releases/take',
    summary: 'Take what was released, sealed to the recipient of the request, with the leaf that says so',
    permission: byCall('names the request, which the caller made'),
    body: z.strictObject({ call }),
    status: 200,
    reply: z.object({
      /** The text of the leaf, its place, and what shows that it stands in the log. */
      leaf: z.object({
        text: z.string().max(65_536),
        logIndex: z.number().int(),
        inclusion: z.array(z.string().max(44)).max(64),
      }),
      /** A signed head of the key log. */
      head: z.string().max(4_096),
      /** Sealed to the recipient, base64url. */
      sealed: z.string().max(262_144),
    }),
    errors: [
      ...called,
      releasesErrors.not_found,
      releasesErrors.not_requester,
      releasesErrors.waiting,
      releasesErrors.refused,
      releasesErrors.keystore_away,
    ],
  }),
  refuse: defineRoute({
    ...asked,
    path: '/v1/releases/refuse',
    summary: 'As a person: refuse a release that was not granted yet, for good',
    permission: byCall('names the request'),
    body: z.strictObject({ call }),
    status: 200,
    reply: ReleaseState,
    errors: [...called, releasesErrors.not_found, releasesErrors.not_person, releasesErrors.settled],
  }),
  rules: defineRoute({
    ...asked,
    path: '/v1/releases/rules',
    summary: 'Read the rules of release in force, and the changes of them',
    permission: byCall('is about no request'),
    body: z.strictObject({ call }),
    status: 200,
    reply: z.object({ inForce: Rules, next: Rules, changes: z.array(RulesChangeState) }),
    errors: called,
  }),
  changeRules: defineRoute({
    ...asked,
    path: '/v1/releases/rules/changes',
    summary: 'Propose a change of the rules of release by approving it, or approve one that is proposed',
    permission: byDocument,
    body: z.strictObject({ change: z.string().min(2).max(2_048), approval: signedApproval }),
    status: 200,
    reply: RulesChangeState,
    errors: [
      ...known,
      releasesErrors.refused,
      releasesErrors.settled,
      releasesErrors.too_many,
      releasesErrors.keystore_away,
    ],
  }),
  vouch: defineRoute({
    ...asked,
    path: '/v1/releases/vouches',
    summary: 'Vouch with an older key for a newer one, which then need not wait for a day before it asks',
    permission: byDocument,
    body: z.strictObject({
      tenantUid: z.uuid(),
      holder: Holder,
      publicKey: base64UrlBytes(32),
      byKey: base64UrlBytes(32),
      signature: base64UrlBytes(64),
    }),
    status: 200,
    reply: z.object({ logIndex: z.number().int() }),
    errors: [...known, releasesErrors.refused],
  }),
  own: defineRoute({
    method: 'POST',
    path: '/v1/releases/own-archive',
    summary: "As a device: keep the statement of the archive's writer that the archive is this device's",
    permission: 'archive.own',
    principals: ['device'],
    body: z.strictObject({ archiveId: ArchiveId, signature: base64UrlBytes(64) }),
    status: 200,
    reply: z.object({ kept: z.boolean() }),
    errors: [releasesErrors.archive_not_found],
  }),
};
