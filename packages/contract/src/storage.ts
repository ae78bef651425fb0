import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { deviceErrors } from './devices.ts';
import { bytes, defineRoute } from './route.ts';
import { Instant, queryNumber, Sha256Hex } from './shapes.ts';

/** Most bytes of one fragment: 4 MiB of whole records, or one record that is longer. */
export const MAX_FRAGMENT_BYTES = 9 * 1024 * 1024;
/** Most ordinals one read may ask for; each is 6 bytes, little-endian. */
export const MAX_READ_ORDINALS = 65_536;
/** Fragments that may be under way at once. */
export const FRAGMENT_WINDOW = 8;
/** Most characters of base64 of the keyrings after the first that an archive begins with. */
export const MAX_BEGINNING_BYTES = 1_400_000;

const count = z.number().int().min(0);

/** A commit by its number and the SHA-256 of its whole record. */
export const CommitName = z.strictObject({ number: z.number().int().min(1), sha256: Sha256Hex });
export type CommitName = z.infer<typeof CommitName>;

/** An archive's id: the first 16 bytes of the SHA-256 of its header record, written as a UUID. */
export const ArchiveId = z.guid().lowercase();

/** What a server says of a device's archive. */
export const Archive = z.object({
  archiveId: ArchiveId,
  head: CommitName.nullable(),
  keyring: z.object({ number: count, sha256: Sha256Hex }).nullable(),
  /** Bytes of all records that count against the quota. */
  storedBytes: count,
  /** No limit when null. */
  quotaBytes: count.nullable(),
  createdAt: Instant,
});
export type Archive = z.infer<typeof Archive>;

/** Failures of keeping archives. */
export const storageErrors = defineErrors('storage', {
  not_found: ['not_found', 'Archive not found'],
  taken_over: ['conflict', 'Another computer has taken this archive over: this one writes to it no more'],
  archive_exists: ['conflict', 'This device has another archive already'],
  header_invalid: ['invalid', 'The records are not the header and first keyring of a new archive'],
  keyring_refused: ['conflict', 'The keyring does not follow the newest one, or is not signed as it must be'],
  keyring_lacks_escrow: [
    'conflict',
    'The archive has no slot for the keys of its organisation, whose policy asks for one',
  ],
  escrow_broken: [
    'conflict',
    'The escrow slot of the archive was tried and does not open: no commits are taken until a keyring with one that opens has come',
  ],
  too_many_keyrings: ['exhausted', 'The archive got as many keyrings in a day as it may'],
  session_superseded: ['conflict', 'A newer session writes to this archive'],
  fragment_order: ['conflict', 'The fragment is not the next one'],
  fragment_differs: ['conflict', 'A fragment number came again with other bytes'],
  record_invalid: ['invalid', 'The bytes sent are not whole, valid records'],
  record_refused: ['conflict', 'A record does not fit what the archive holds'],
  ordinal_known: ['conflict', 'An ordinal that was sealed before came again with other bytes'],
  quota_exceeded: ['exhausted', 'The archive has reached its quota: no blocks or bundles are taken'],
  full: ['exhausted', 'The server has no room left on its disk'],
  busy: ['exhausted', 'Too much is being received at once; try again'],
  unavailable: ['unavailable', 'The archive cannot be written or read now; try again'],
  records_unreadable: ['corrupt', 'Records of the archive could not be read back whole'],
});

const ours = { role: 'storage', permission: 'archive.own', principals: ['device'] } as const;
const oneArchive = z.object({ archiveId: ArchiveId });
const always = [
  deviceErrors.deauthorized,
  storageErrors.not_found,
  storageErrors.taken_over,
  storageErrors.unavailable,
] as const;
const record = z.base64().min(4).max(200_000);

/** What a session begins with. */
export const OpenedSession = z.object({
  /** Names the session; a newer one fences it off. */
  session: count,
  /** The number of the next fragment; counts on through all sessions. */
  nextFragment: count,
  head: CommitName.nullable(),
  /** How the server stands to the commit that was named: it has the same head, more, less, or another. */
  comparison: z.enum(['same', 'ahead', 'behind', 'differs']),
  keyring: z.object({ number: count, sha256: Sha256Hex }).nullable(),
  serverTime: Instant,
  /** The greatest sequence number that is there of each writer. */
  highestSequences: z.array(z.object({ writer: count, sequence: count })),
  /** The key receipts are signed with. */
  receiptKey: z.object({ keyId: z.string(), x: z.string() }),
});
export type OpenedSession = z.infer<typeof OpenedSession>;

/** What a receipt says: everything up to this fragment is on stable storage, indexed and readable. */
export const ReceiptClaims = z.object({
  installationId: z.uuid(),
  archiveId: ArchiveId,
  session: count,
  fragment: count,
  head: CommitName.nullable(),
  at: Instant,
});
export type ReceiptClaims = z.infer<typeof ReceiptClaims>;

/** Routes of a device's own archive. Every other archive does not exist for it. */
export const storageRoutes = {
  list: defineRoute({
    ...ours,
    method: 'GET',
    path: '/v1/archives',
    summary: 'List the archives of the device that asks: one, or none yet',
    status: 200,
    reply: z.object({ archives: z.array(Archive) }),
    errors: always,
  }),
  create: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/archives',
    summary: 'Begin the archive of the device; sending the same records again changes nothing',
    body: z.strictObject({
      header: record,
      keyring: record,
      /** The keyrings after the first, where there are some already: the last has to be what the policy asks for. */
      more: z.array(record).max(1_000).optional(),
    }),
    maxBodyBytes: MAX_BEGINNING_BYTES + 600_000,
    status: 201,
    reply: Archive,
    errors: [
      ...always,
      storageErrors.archive_exists,
      storageErrors.header_invalid,
      storageErrors.keyring_lacks_escrow,
      storageErrors.full,
    ],
  }),
  addKeyring: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/archives/:archiveId/keyrings',
    summary: 'Add the next keyring, which must follow the newest one',
    params: oneArchive,
    body: z.strictObject({ keyring: record }),
    maxBodyBytes: 300_000,
    status: 201,
    reply: Archive,
    errors: [
      ...always,
      storageErrors.keyring_refused,
      storageErrors.keyring_lacks_escrow,
      storageErrors.too_many_keyrings,
      storageErrors.ordinal_known,
      storageErrors.full,
    ],
  }),
  openSession: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/archives/:archiveId/sessions',
    summary: 'Begin to write, naming the newest commit the writer knows; all older sessions end',
    params: oneArchive,
    body: z.strictObject({ known: CommitName.nullable() }),
    status: 201,
    reply: OpenedSession,
    errors: [...always, storageErrors.session_superseded, storageErrors.full],
  }),
  append: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/archives/:archiveId/fragments',
    summary: 'Add a fragment of whole records; the reply is a signed receipt that it is on stable storage',
    params: oneArchive,
    query: z.object({
      session: queryNumber(1, Number.MAX_SAFE_INTEGER),
      sequence: queryNumber(1, Number.MAX_SAFE_INTEGER),
    }),
    body: bytes('application/octet-stream'),
    maxBodyBytes: MAX_FRAGMENT_BYTES,
    status: 200,
    reply: z.object({
      nextFragment: count,
      head: CommitName.nullable(),
      at: Instant,
      /** A JWS (RFC 7515, compact, EdDSA) over `ReceiptClaims`. */
      receipt: z.string(),
    }),
    errors: [
      ...always,
      storageErrors.session_superseded,
      storageErrors.fragment_order,
      storageErrors.fragment_differs,
      storageErrors.record_invalid,
      storageErrors.record_refused,
      storageErrors.keyring_lacks_escrow,
      storageErrors.escrow_broken,
      storageErrors.too_many_keyrings,
      storageErrors.ordinal_known,
      storageErrors.quota_exceeded,
      storageErrors.full,
      storageErrors.busy,
    ],
  }),
  read: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/archives/:archiveId/read',
    summary: 'Read records by their ordinals (6 bytes each, little-endian), in the order in which they are stored',
    params: oneArchive,
    body: bytes('application/octet-stream'),
    maxBodyBytes: MAX_READ_ORDINALS * 6,
    status: 200,
    reply: bytes('application/octet-stream'),
    errors: [...always, storageErrors.busy],
  }),
  ordinals: defineRoute({
    ...ours,
    method: 'GET',
    path: '/v1/archives/:archiveId/ordinals',
    summary: 'List what is there: 7 bytes a record, ordinal (6, little-endian) and kind, in the order of storage',
    params: oneArchive,
    query: z.object({ kind: queryNumber(1, 255).optional() }),
    status: 200,
    reply: bytes('application/octet-stream'),
    errors: always,
  }),
  records: defineRoute({
    ...ours,
    method: 'GET',
    path: '/v1/archives/:archiveId/records',
    summary: 'Read all records of a kind, in the order in which they are stored',
    params: oneArchive,
    query: z.object({
      kind: z.enum(['header', 'keyring', 'commit', 'live']),
      /** Only those with a greater number (of the commit, keyring or live set). */
      after: queryNumber(0, Number.MAX_SAFE_INTEGER).default(0),
    }),
    status: 200,
    reply: bytes('application/octet-stream'),
    errors: always,
  }),
};
