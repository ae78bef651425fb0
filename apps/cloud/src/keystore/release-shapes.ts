import { releaseBounds } from '@holdfast/trust';
import { z } from 'zod';
import { TenantUid } from './operation.ts';

/** Bounds of what the keystore is shown of a log, and of what it opens. */
export const releaseShapeBounds = {
  /** Entries in one piece of a log that is followed. */
  outlines: 1_000,
  /** Characters of the texts in one piece together; a single text is never longer. */
  followedText: 256 * 1024,
  /** Bytes of a keyring that is opened. */
  keyringBytes: 1024 * 1024,
  /** Slots that are tried at once. */
  tries: 50,
  /** Bytes of the keyrings that are tried at once, together. */
  triedBytes: 2 * 1024 * 1024,
} as const;

/** Bytes as base64url, within so many bytes. */
const bytes = (most: number, least = 0) =>
  z
    .base64url()
    .max(Math.ceil((most * 4) / 3))
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64url')))
    .refine(({ length }) => length >= least && length <= most);
const count = z.number().int().min(0);
const hash = bytes(32, 32);
/** A proof has a hash for each level of the tree at most. */
const proof = z.array(hash).max(64);
const note = z.string().max(4_096);
const leafText = z.string().max(65_536);

/** A tenant, and no more. */
export const OfTenant = z.strictObject({ tenantUid: TenantUid });

const signedText = (mostCharacters: number) =>
  z.strictObject({ text: z.string().max(mostCharacters), signature: z.string().max(100) });

/** A tenant, and a change of its rules that may become a leaf. */
export const RulesAsked = z.strictObject({
  tenantUid: TenantUid,
  proposed: z
    .strictObject({ change: z.string().max(2_048), approvals: z.array(signedText(512)).max(releaseBounds.approvals) })
    .optional(),
});

/** A piece of a tenant's key log, and what shows that the log goes on with it. */
export const FollowedPiece = z.strictObject({
  tenantUid: TenantUid,
  /** How many leaves the keystore has followed, so that the first of these is the next. */
  fromSize: count,
  /** A signed head, and the proof that the log with it begins with that of the leaves up to the end of this piece. */
  head: z.strictObject({ note, consistency: proof }),
  /** Every entry from there on. */
  outlines: z.array(bytes(160, 48)).max(releaseShapeBounds.outlines),
  /** The text of each that is about the keystore. */
  texts: z.array(z.strictObject({ logIndex: count, text: leafText })).max(releaseShapeBounds.outlines),
});

/** How far a log was followed. */
export const FollowedSize = z.strictObject({ treeSize: count });

/** How far a log was followed, and what of it changed nothing: the code says why. */
export const FollowedOutcome = z.strictObject({
  treeSize: count,
  refused: z.array(z.strictObject({ logIndex: count, kind: z.string(), code: z.string() })),
});

/** A signed head over exactly the leaves that were followed, and a leaf under it. */
const shown = {
  tenantUid: TenantUid,
  note,
  leaf: z.strictObject({ text: leafText, logIndex: count, inclusion: proof }),
};

/** A request to release keys, its leaf, and what is opened with it. */
export const ReleaseAsked = z.strictObject({
  ...shown,
  request: signedText(releaseBounds.requestCharacters),
  /** The whole record. */
  keyring: bytes(releaseShapeBounds.keyringBytes),
  /** The inner layer of the slot that the request names, as `openEscrowOuter` gives it. */
  inner: bytes(80, 80),
});

/** Keys, sealed to the recipient of the request (base64url); or since when its leaf waits, and when to ask again (RFC 3339). */
export const ReleaseAnswer = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('granted'), sealed: z.base64url() }),
  z.strictObject({ status: z.literal('waiting'), since: z.iso.datetime(), opensAt: z.iso.datetime() }),
]);

/** Slots that a leaf announces as tried, and what is opened with each. */
export const TriesAsked = z.strictObject({
  ...shown,
  tries: z
    .array(
      z.strictObject({
        /** Any 16 bytes. */
        archiveId: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        slotId: z.string().regex(/^[0-9a-f]{32}$/),
        keyring: bytes(releaseShapeBounds.keyringBytes),
        /** Of any length: that it is not one is an outcome. */
        inner: bytes(1_024),
        /** Where the leaf is that of a run: the slot's place in it, and the proof of that. */
        among: z.strictObject({ place: count, proof }).nullable(),
      }),
    )
    .min(1)
    .max(releaseShapeBounds.tries),
});

/** For each try, in order: the newest epoch that the slot leads to, or why it leads to none. */
export const TriesAnswer = z.strictObject({
  outcomes: z.array(
    z.discriminatedUnion('status', [
      z.strictObject({ status: z.literal('opens'), epoch: count }),
      z.strictObject({ status: z.literal('fails'), code: z.string() }),
    ]),
  ),
});

const Rule = z.strictObject({ approvals: count, delayHours: count, notice: z.enum(['owner', 'everyone']) });

/** All changes of the rules of release that count, by rising number, and since when the keystore knows each (RFC 3339). */
export const KnownRulesAnswer = z.strictObject({
  /** How many leaves it has followed: a change in one of them that is not here was refused. */
  treeSize: count,
  /** Why what is proposed would not count as a leaf now; null where it would, or nothing is proposed. */
  refusal: z.string().nullable(),
  changes: z.array(
    z.strictObject({
      number: count,
      /** SHA-256 of its text, hex. */
      changeSha256: z.string(),
      rules: z.strictObject({ own_restore: Rule, admin_restore: Rule, replacement: Rule }),
      knownSince: z.iso.datetime(),
    }),
  ),
});
