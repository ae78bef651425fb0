import { createHash } from 'node:crypto';
import { formatKeyLogLeaf, keyLogLeafErrors, type KeyLogKind, type KeyLogLeaf } from './key-log-leaf.ts';
import type { KeyHolder } from './key-holders.ts';
import { leafHash, type Hash } from './merkle-log.ts';

/** The name of a tenant's key log: the first line of its heads. The tenant's log key signs them under its own name. */
export function keyLogOrigin(installationId: string, tenantUid: string): string {
  return `holdfast/${installationId}/${tenantUid}/keys`;
}

/** The name of a tenant's log key, which is that of its audit log: one key signs the heads of all its logs. */
export function logKeyName(installationId: string, tenantUid: string): string {
  return `holdfast/${installationId}/${tenantUid}/audit`;
}

/** Whom a leaf can be about. */
export const subject = {
  archive: (archiveId: string): string => `archive:${archiveId}`,
  device: (deviceUid: string): string => `device:${deviceUid}`,
  person: (userUid: string): string => `person:${userUid}`,
  /** Everybody in the tenant. */
  everyone: 'everyone',
  /** The tenant's keystore: what it has to know before it releases anything. */
  keystore: 'keystore',
} as const;

/**
 * An entry of the log: what everybody sees of a leaf, and what its place in the tree is the hash of.
 *
 * The SHA-256 of the leaf's text, then 16 bytes for each subject. They show a leaf to whoever knows the subject, and tell
 * nobody else anything: so a server that shows each device only the leaves about its archive cannot hide one of them.
 */
export type LeafOutline = Uint8Array;

const DIGEST_BYTES = 32;
const LABEL_BYTES = 16;
const MAX_SUBJECTS = 8;
const LABEL_CONTEXT = 'holdfast v1 key log subject\0';

/** A leaf, ready to be appended. */
export type WrittenLeaf = {
  /** Canonical JSON. */
  readonly text: string;
  readonly subjects: Subjects;
  readonly outline: LeafOutline;
};

/** Writes a leaf: its text, whom it is about, and its entry in the tree. @throws key_log_leaf.malformed */
export function writeKeyLogLeaf(leaf: KeyLogLeaf): WrittenLeaf {
  const text = formatKeyLogLeaf(leaf);
  const subjects = subjectsOf(leaf);
  return { text, subjects, outline: outlineOf(text, subjects) };
}

/** Whom a leaf is about; at least one. */
export type Subjects = readonly [string, ...string[]];

/** Whom a leaf of each kind is about. */
const subjectsByKind: { readonly [K in KeyLogKind]: (leaf: Extract<KeyLogLeaf, { kind: K }>) => Subjects } = {
  key_registered: ({ deviceUid }) => [subject.device(deviceUid), subject.keystore],
  key_ended: ({ deviceUid, archiveId }) => [
    subject.device(deviceUid),
    ...(archiveId === null ? [] : [subject.archive(archiveId)]),
    subject.keystore,
  ],
  // Who may soon ask for the backups of all, or approve it, is shown to all.
  person_key_registered: ({ userUid }) => [subject.person(userUid), subject.everyone, subject.keystore],
  person_key_ended: ({ userUid }) => [subject.person(userUid), subject.everyone, subject.keystore],
  key_vouched: ({ holder, by }) => [subjectOf(holder), subjectOf(by), subject.everyone, subject.keystore],
  keyring_added: ({ archiveId }) => [subject.archive(archiveId)],
  daily_heads: () => [subject.everyone],
  escrow_keys_set: () => [subject.everyone],
  archive_takeover: ({ archiveId, deviceUid, newDeviceUid }) => [
    subject.archive(archiveId),
    subject.device(deviceUid),
    subject.device(newDeviceUid),
  ],
  release: ({ archiveId, requester, notice }) => [
    subject.archive(archiveId),
    subjectOf(requester),
    ...(notice === 'everyone' ? [subject.everyone] : []),
  ],
  release_refused: ({ archiveId }) => [subject.archive(archiveId)],
  release_rules: () => [subject.everyone, subject.keystore],
  escrow_tried: () => [subject.everyone],
};

/** Whom a leaf is about. */
export function subjectsOf(leaf: KeyLogLeaf): Subjects {
  const subjects = subjectsByKind[leaf.kind] as (leaf: KeyLogLeaf) => Subjects;
  return subjects(leaf);
}

/** The holder of a key, as one whom a leaf is about. */
export function subjectOf({ kind, uid }: KeyHolder): string {
  return subject[kind](uid);
}

/** The entry of a text about these subjects. */
export function outlineOf(text: string, subjects: readonly string[]): LeafOutline {
  const digest = sha256(text);
  const labels = subjects.map((one) => labelOf(digest, one));
  return new Uint8Array(Buffer.concat([digest, ...labels]));
}

/** Whether bytes have the form of an entry; anything else is not one. */
export function isOutline(bytes: Uint8Array): boolean {
  const labelBytes = bytes.length - DIGEST_BYTES;
  return labelBytes % LABEL_BYTES === 0 && labelBytes >= LABEL_BYTES && labelBytes <= LABEL_BYTES * MAX_SUBJECTS;
}

/** Whether an entry is about one of these subjects. */
export function isAbout(outline: LeafOutline, subjects: readonly string[]): boolean {
  if (!isOutline(outline)) return false;
  const digest = outline.subarray(0, DIGEST_BYTES);
  const wanted = subjects.map((one) => labelOf(digest, one));
  for (let at = DIGEST_BYTES; at < outline.length; at += LABEL_BYTES) {
    const label = outline.subarray(at, at + LABEL_BYTES);
    if (wanted.some((one) => Buffer.compare(one, label) === 0)) return true;
  }
  return false;
}

/** Whether a text is the one that an entry stands for. */
export function isTextOf(outline: LeafOutline, text: string): boolean {
  return isOutline(outline) && Buffer.compare(sha256(text), outline.subarray(0, DIGEST_BYTES)) === 0;
}

/**
 * Expects that an entry is the one its leaf has to have: its text, and all of its subjects in order.
 *
 * Who acts on a leaf checks this first: an entry without the label of an archive would be hidden from it.
 * @throws key_log_leaf.malformed
 */
export function expectOutline(outline: LeafOutline, leaf: KeyLogLeaf): void {
  if (Buffer.compare(writeKeyLogLeaf(leaf).outline, outline) !== 0)
    throw keyLogLeafErrors.malformed({ field: 'subjects' });
}

/** The hash of an entry's leaf in the tree. */
export function outlineHash(outline: LeafOutline): Hash {
  return leafHash(outline);
}

function labelOf(digest: Uint8Array, of: string): Uint8Array {
  const hash = createHash('sha256').update(LABEL_CONTEXT).update(digest).update(of).digest();
  return new Uint8Array(hash.subarray(0, LABEL_BYTES));
}

function sha256(text: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(text).digest());
}
