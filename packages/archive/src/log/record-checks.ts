import { createHash } from 'node:crypto';
import { CodedError } from '@holdfast/base';
import { isSignedBy } from '../crypto/ed25519.node.ts';
import { type CommitOpen, parseCommitOpen } from '../format/commit.ts';
import { parseHeader } from '../format/header.ts';
import { introductionMessage, parseKeyring, type Writer } from '../format/keyring.ts';
import { parseLive } from '../format/live.ts';
import { type Ordinal, ordinalOf, sequenceOf, writerOf } from '../format/ordinal.ts';
import { RecordKind, type RecordParts, signedMessage, splitRecord } from '../format/record.ts';
import type { KnownWriter, LogState } from './sessions.ts';

/** A record to be checked against the state of an archive. */
export type CheckedRecord = {
  readonly bytes: Uint8Array;
  /** Whether the destination holds it already: then it may be older than the head. */
  readonly isKnown: boolean;
};

/** Whether records fit what a destination holds. */
export type RecordsVerdict =
  | { readonly status: 'fit'; readonly state: LogState }
  | { readonly status: 'refused'; readonly ordinal: Ordinal; readonly fact: string };

type Subject = {
  readonly archiveId: Uint8Array;
  readonly parts: RecordParts;
  readonly ordinal: Ordinal;
  readonly sha256: string;
  readonly isKnown: boolean;
};

/** A state, or the fact that speaks against the record. */
type Checked = LogState | string;

const zeros = '0'.repeat(64);

/**
 * Checks records in their order, as far as that goes without keys, and gives the state after them.
 *
 * A commit must follow the head by number and hash, or be a later checkpoint, and be signed by the writer whose turn it is. A
 * keyring must follow the one before and leave its writers as they are; an introduction must be the last writer's. All else must come from a writer that is listed.
 * Nothing is sealed with a key that begins in no keyring here: what a keyring has to have would be demanded in vain.
 */
export function checkRecords(
  state: LogState,
  archiveId: Uint8Array,
  records: readonly CheckedRecord[],
): RecordsVerdict {
  let now = state;
  for (const { bytes, isKnown } of records) {
    const parts = splitRecord(bytes);
    const { ordinal } = parts.header;
    const subject: Subject = {
      archiveId,
      parts,
      ordinal,
      isKnown,
      // Of a few kinds only: hashing every block would take longer than storing it.
      get sha256() {
        return createHash('sha256').update(bytes).digest('hex');
      },
    };
    const next = checkRecord(now, subject);
    if (typeof next === 'string') return { status: 'refused', ordinal, fact: next };
    now = next;
  }
  return { status: 'fit', state: now };
}

const checks: Readonly<Record<number, (state: LogState, subject: Subject) => Checked>> = {
  [RecordKind.header]: checkHeader,
  [RecordKind.keyring]: checkKeyring,
  [RecordKind.commit]: checkCommit,
  [RecordKind.live]: checkLive,
};

function checkRecord(state: LogState, subject: Subject): Checked {
  const check = checks[subject.parts.header.kind] ?? checkWriter;
  try {
    return epochFact(state, subject) ?? check(state, subject);
  } catch (error) {
    // The open part does not parse.
    if (error instanceof CodedError) return `${error.message}: ${JSON.stringify(error.details)}`;
    throw error;
  }
}

function epochFact({ keyringEpoch = 0 }: LogState, { parts: { header }, isKnown }: Subject): string | undefined {
  if (isKnown || header.epoch === keyringEpoch) return undefined;
  const isAbove = header.epoch > keyringEpoch;
  if (header.kind === RecordKind.keyring)
    return isAbove ? undefined : 'the keyring is of an older epoch than the one before it';
  return isAbove ? 'the record is of an epoch that no keyring here has' : undefined;
}

function checkHeader(state: LogState, subject: Subject): Checked {
  const { parts, ordinal, sha256, archiveId } = subject;
  if (ordinal !== 0) return 'a header record has ordinal 0';
  if (!sha256.startsWith(archiveId.toHex())) return 'the header record is that of another archive';
  const publicKey = parseHeader(parts.open).writerKey.toHex();
  if (!isSigned(subject, publicKey)) return 'the signature does not hold';
  return state.writers.length > 0 ? state : { ...state, writers: [{ number: 0, publicKey, firstCommit: 1 }] };
}

function checkKeyring(state: LogState, subject: Subject): Checked {
  const { number, previous, writers } = parseKeyring(subject.parts.open);
  const newest = state.keyring ?? { number: 0, sha256: zeros };
  if (subject.isKnown && number <= newest.number) return state;
  const isNext = number === newest.number + 1 && previous.toHex() === newest.sha256;
  if (!isNext) return 'the keyring does not follow the newest one';
  if ((number === 1) !== (subject.ordinal === 1)) return 'the first keyring, and no other, has ordinal 1';
  const listed = writers.map((w) => ({ number: w.number, publicKey: w.publicKey.toHex(), firstCommit: w.firstCommit }));
  const fact =
    writersFact(state, listed, subject.ordinal) ??
    signatureFact(subject, listed) ??
    introductionFact(state, writers, subject.archiveId);
  return (
    fact ?? {
      ...state,
      writers: listed,
      keyring: { number, sha256: subject.sha256 },
      keyringEpoch: subject.parts.header.epoch,
    }
  );
}

function signatureFact(subject: Subject, writers: readonly KnownWriter[]): string | undefined {
  const signer = writers.find(({ number }) => number === writerOf(subject.ordinal));
  return signer && isSigned(subject, signer.publicKey) ? undefined : 'the signature does not hold';
}

/** A new writer may come in without an introduction, which readers then say; one that is there must hold. */
function introductionFact(state: LogState, listed: readonly Writer[], archiveId: Uint8Array): string | undefined {
  const before = state.writers.at(-1);
  const brought = listed[state.writers.length];
  if (!before || brought?.introduction === undefined) return undefined;
  const message = introductionMessage(archiveId, brought);
  return isSignedBy(Uint8Array.fromHex(before.publicKey), message, brought.introduction)
    ? undefined
    : 'the introduction of the new writer is not signed by the writer before it';
}

/** A keyring keeps the writers there are; it may bring in one, which then is the one that signs it, as its first record. */
function writersFact(state: LogState, listed: readonly KnownWriter[], ordinal: Ordinal): string | undefined {
  if (state.writers.length === 0) return 'the header record must come first';
  const kept = listed.slice(0, state.writers.length);
  if (JSON.stringify(kept) !== JSON.stringify(state.writers)) return 'the keyring changes writers that are there';
  const added = listed.slice(state.writers.length);
  if (added.length > 1) return 'the keyring brings in more than one writer';
  const [brought] = added;
  const signer = brought?.number ?? state.writers.at(-1)!.number;
  if (writerOf(ordinal) !== signer) return 'the keyring is not from the newest writer';
  if (!brought) return undefined;
  if (ordinal !== ordinalOf(brought.number, 0)) return 'a writer begins with the keyring that brings it in';
  return brought.firstCommit > (state.head?.number ?? 0)
    ? undefined
    : 'the new writer would sign commits that are there';
}

function checkCommit(state: LogState, subject: Subject): Checked {
  const commit = parseCommitOpen(subject.parts.open);
  if (subject.isKnown && commit.number <= (state.head?.number ?? 0)) return state;
  if (!follows(state, commit)) return 'the commit neither follows the head nor is a later checkpoint';
  const rightful = state.writers.reduce<KnownWriter | undefined>((best, writer) => {
    const isLater = writer.firstCommit <= commit.number && writer.firstCommit >= (best?.firstCommit ?? 0);
    return isLater ? writer : best;
  }, undefined);
  if (rightful?.number !== writerOf(subject.ordinal)) return 'the commit is not from the writer whose turn it is';
  if (!isSigned(subject, rightful.publicKey)) return 'the signature does not hold';
  return { ...state, head: { number: commit.number, sha256: subject.sha256, checkpoint: commit.checkpoint } };
}

function follows({ head }: LogState, { number, previous, checkpoint }: CommitOpen): boolean {
  if (number === (head?.number ?? 0) + 1 && previous.toHex() === (head?.sha256 ?? zeros)) return true;
  return number > (head?.number ?? 0) && checkpoint === number;
}

function checkLive(state: LogState, subject: Subject): Checked {
  const { number, commit } = parseLive(subject.parts.open);
  if (subject.isKnown && number <= state.liveSet) return state;
  const writer = writerOfRecord(state, subject.ordinal);
  if (!writer) return 'the record is not from a writer that is listed';
  if (!isSigned(subject, writer.publicKey)) return 'the signature does not hold';
  if (number < state.liveSet) return 'the live set is older than the newest one';
  return isJustified(state, commit)
    ? { ...state, liveSet: number }
    : 'the commit that justifies the live set is not here';
}

/** Whether a live set's commit may be one that is here; only the head's hash is known. */
function isJustified({ head }: LogState, commit: { number: number; sha256: Uint8Array }): boolean {
  if (!head || commit.number > head.number) return false;
  return commit.number < head.number || commit.sha256.toHex() === head.sha256;
}

function checkWriter(state: LogState, { ordinal }: Subject): Checked {
  if (!writerOfRecord(state, ordinal)) return 'the record is not from a writer that is listed';
  const isKeyPlace = sequenceOf(ordinal) === 0 || ordinal === 1;
  return isKeyPlace ? 'this ordinal is that of a header or keyring' : state;
}

function writerOfRecord(state: LogState, ordinal: Ordinal): KnownWriter | undefined {
  return state.writers.find(({ number }) => number === writerOf(ordinal));
}

function isSigned({ archiveId, parts }: Subject, publicKey: string): boolean {
  return isSignedBy(Uint8Array.fromHex(publicKey), signedMessage(archiveId, parts), parts.signature);
}
