import { z } from 'zod';
import { defineRoute } from './route.ts';
import { Instant, queryNumber } from './shapes.ts';
import { ArchiveId } from './storage.ts';

/** A head of the key log that others than the log signed, too. */
export const CosignedKeyLogHead = z.object({
  treeSize: z.number().int(),
  /** A signed note: origin, size, root hash, the signature of the log, those of the witnesses. */
  note: z.string().max(16_384),
});
export type CosignedKeyLogHead = z.infer<typeof CosignedKeyLogHead>;

/** The signed head of the key log: whoever keeps it finds out later whether leaves were changed, taken out or put between. */
export const KeyLogHead = z.object({
  treeSize: z.number().int(),
  signedAt: Instant,
  /** A signed note: origin, size, root hash, signature. */
  note: z.string().max(4_096),
  /** The key that verifies it, as a note verifier. */
  verifier: z.string(),
  /** The newest head that each witness of the server cosigned; none is longer. */
  cosigned: z.array(CosignedKeyLogHead).max(16),
  /** The newest head that the keystore has followed, with its signature; none where it has signed none yet. */
  followed: CosignedKeyLogHead.optional(),
});
export type KeyLogHead = z.infer<typeof KeyLogHead>;

/** What all see of a leaf, base64url: the hash of its text, and 16 bytes for each whom it is about. */
const Outline = z.string().regex(/^[\w-]{64,214}$/, 'it must be the outline of a leaf in base64url');

/** A leaf as administrators see it: its place, what its hash is over, and its text. */
export const KeyLogLeaf = z.object({
  logIndex: z.number().int(),
  outline: Outline,
  /** Canonical JSON (RFC 8785). */
  body: z.string().max(65_536),
});
export type KeyLogLeaf = z.infer<typeof KeyLogLeaf>;

/** A leaf as a device sees it: the text only where it concerns the device, its archive or everybody. */
export const OwnKeyLogLeaf = z.object({ outline: Outline, body: z.string().max(65_536).optional() });
export type OwnKeyLogLeaf = z.infer<typeof OwnKeyLogLeaf>;

/** Hashes of a proof, base64; at most 2 for each level of a tree. */
const Proof = z.array(z.string().max(44)).max(128);

/** Leaves in one page of what a device reads. */
export const KEY_LOG_PAGE = 2_000;

const logSize = queryNumber(0, Number.MAX_SAFE_INTEGER);
const page = (most: number) => ({ from: logSize.default(0), limit: queryNumber(1, most).default(most) });
const ofTwoHeads = { query: z.object({ fromSize: logSize, toSize: logSize }), reply: z.object({ proof: Proof }) };
const ofOneLeaf = { query: z.object({ logIndex: logSize, treeSize: logSize }), reply: z.object({ proof: Proof }) };

const readable = { method: 'GET', status: 200, permission: 'key_log.read' } as const;
const ownReply = { maxReplyBytes: 64 * 1024, status: 200 } as const;
const own = { ...ownReply, method: 'GET', permission: 'key_log.own', principals: ['device'] } as const;

/** Routes of the key log for who administers the tenant. */
export const keyLogRoutes = {
  head: defineRoute({
    ...readable,
    path: '/v1/key-log/head',
    summary: 'Read the signed head of the key log as it is now',
    reply: KeyLogHead,
  }),
  leaves: defineRoute({
    ...readable,
    path: '/v1/key-log/leaves',
    summary: 'Read leaves of the key log in their order, of all archives or of one',
    query: z.object({ ...page(1_000), archiveId: ArchiveId.optional() }),
    reply: z.object({
      leaves: z.array(KeyLogLeaf),
      /** Where to go on; null at the end. */
      nextFrom: z.number().int().nullable(),
    }),
  }),
  inclusion: defineRoute({
    ...readable,
    ...ofOneLeaf,
    path: '/v1/key-log/inclusion',
    summary: 'Prove that a leaf is in the key log of that size',
  }),
  consistency: defineRoute({
    ...readable,
    ...ofTwoHeads,
    path: '/v1/key-log/consistency',
    summary: 'Prove that the key log of one size begins with that of a smaller one',
  }),
};

/** Routes of the key log for devices: each sees the whole tree, and of the leaves only what concerns it. */
export const ownKeyLogRoutes = {
  head: defineRoute({
    ...own,
    path: '/v1/key-log/own/head',
    summary: 'As a device: read the signed head of the key log as it is now',
    reply: KeyLogHead,
  }),
  leaves: defineRoute({
    ...own,
    path: '/v1/key-log/own/leaves',
    summary: 'As a device: read what all see of every leaf, and the text of those that concern the device',
    maxReplyBytes: 16 * 1024 * 1024,
    /** An archive that the device had before it enrolled: what is about that is shown in full, too. */
    query: z.object({ ...page(KEY_LOG_PAGE), archiveId: ArchiveId.optional() }),
    /** The first is that at `from`, and each of the others follows it; there may be fewer than asked for, and one at least. */
    reply: z.object({ leaves: z.array(OwnKeyLogLeaf).max(KEY_LOG_PAGE) }),
  }),
  inclusion: defineRoute({
    ...own,
    ...ofOneLeaf,
    path: '/v1/key-log/own/inclusion',
    summary: 'As a device: prove that a leaf is in the key log of that size',
  }),
  consistency: defineRoute({
    ...own,
    ...ofTwoHeads,
    path: '/v1/key-log/own/consistency',
    summary: 'As a device: prove that the key log of one size begins with that of a smaller one',
  }),
};
