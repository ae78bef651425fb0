import { corrupt } from '../errors.ts';
import { type Cursor, readWhole, writerOf } from './bytes.ts';
import { field, readFields } from './fields.ts';
import { kinds, recordSignatureHolds, type RecordFrame } from './record.ts';
import { sha256, signatureHolds } from './sealing.ts';

/** The draft revision of the format this reader knows. */
export const DRAFT_REVISION = 2;

const noArchive = Buffer.alloc(16);

/** A valid header record. */
export type Header = {
  readonly archiveId: Buffer;
  readonly firstWriterKey: Buffer;
  readonly format: number;
  readonly draft: number | undefined;
};

/** Reads a header record; undefined when it is none or its signature does not hold. */
export function readHeader(frame: RecordFrame): Header | undefined {
  if (frame.kind !== kinds.header || frame.ordinal !== 0) return undefined;
  const fields = readFields(frame.open, 'header', {
    1: field('format version', '!+'),
    2: field('draft revision', '!'),
    3: field('salt', '!+'),
    4: field('suite', '!+'),
    5: field('key of writer 0', '!+'),
  });
  fields.fixed(3, 32);
  fields.count(4);
  const firstWriterKey = fields.fixed(5, 32);
  if (!recordSignatureHolds(noArchive, frame, firstWriterKey)) return undefined;
  return {
    archiveId: sha256(frame.whole).subarray(0, 16),
    firstWriterKey,
    format: fields.count(1),
    draft: fields.number(2),
  };
}

/** A writer as a keyring lists it. */
export type Writer = {
  readonly number: number;
  readonly publicKey: Buffer;
  readonly firstCommit: number;
  /** How it came in, by the numbers of §5. */
  readonly origin: number;
  readonly introduction: Buffer | undefined;
  /** All its fields, as they were written. */
  readonly raw: Buffer;
};

/** Kinds of slots by the numbers of §5. */
export const slotKinds = { recoveryCode: 1, escrow: 2, password: 3, customKey: 4 } as const;

/** A slot of a kind this reader knows. */
export type Slot = {
  readonly slotId: Buffer;
  readonly kind: number;
  readonly commitment: Buffer;
  readonly wrapped: Buffer;
  /** Not read yet: what is wrong with them makes the slot useless, and not the keyring. */
  readonly parameters: Buffer | undefined;
};

/** The open part of a keyring, with its frame. */
export type Keyring = {
  readonly number: number;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
  readonly slots: readonly Slot[];
  /** Of all slots, those that were passed over included. */
  readonly slotKinds: readonly number[];
  readonly writers: readonly Writer[];
  readonly frame: RecordFrame;
};

const SLOT_LIMIT = 64;
const LAST_ORIGIN = 5;

/**
 * Reads the open part of a keyring.
 *
 * @throws structure.corrupt
 */
export function readKeyring(frame: RecordFrame): Keyring {
  const fields = readFields(frame.open, 'keyring', {
    1: field('number', '!+'),
    2: field('hash of the keyring before', '!+'),
    3: field('slot', '!*'),
    4: field('writer', '!*+'),
    5: field('made at'),
  });
  const number = fields.count(1);
  if (number < 1 || number > 0xffffffff) throw corrupt('keyring', 'its number is out of bounds');
  fields.instant(5);
  const writers = fields.all(4).map(readWriter);
  if (!writers.every((writer, index) => index === 0 || writer.number > writers[index - 1]!.number)) {
    throw corrupt('keyring', 'its writers do not rise');
  }
  if (number === 1 && (frame.ordinal !== 1 || writers.length > 1))
    throw corrupt('keyring', 'the first has another ordinal than 1, or lists more than writer 0');
  if (fields.all(3).length > SLOT_LIMIT) throw corrupt('keyring', `it has more than ${SLOT_LIMIT} slots`);
  const slots = fields.all(3).map(readSlot);
  return {
    number,
    previousHash: fields.fixed(2, 32),
    hash: sha256(frame.whole),
    slots: slots.flatMap(({ slot }) => slot ?? []),
    slotKinds: slots.map(({ kind }) => kind),
    writers,
    frame,
  };
}

/** Whether writer 0 has the header's key and the newest listed writer signed, under an ordinal of his (§14.2). */
export function isSignedFor(keyring: Keyring, header: Header): boolean {
  const { frame, writers } = keyring;
  const [first, newest] = [writers[0], writers.at(-1)];
  if (first?.number !== 0 || !first.publicKey.equals(header.firstWriterKey)) return false;
  if (newest?.number !== writerOf(frame.ordinal)) return false;
  return recordSignatureHolds(header.archiveId, frame, newest.publicKey);
}

const knownKinds: readonly number[] = Object.values(slotKinds);

function readSlot(bytes: Buffer): { readonly kind: number; readonly slot: Slot | undefined } {
  const fields = readFields(bytes, 'slot', {
    1: field('slot id', '!+'),
    2: field('kind', '!+'),
    3: field('commitment', '!+'),
    4: field('wrapped ring key', '!+'),
    5: field('made at'),
    6: field('parameters', '!'),
  });
  const kind = fields.count(2);
  const slotId = fields.fixed(1, 16);
  if (!knownKinds.includes(kind)) return { kind, slot: undefined };
  fields.instant(5);
  const fixed = { commitment: fields.fixed(3, 32), wrapped: fields.fixed(4, 80) };
  return { kind, slot: { slotId, kind, ...fixed, parameters: fields.bytes(6) } };
}

function readWriter(bytes: Buffer): Writer {
  const fields = readFields(bytes, 'writer', {
    1: field('number', '!+'),
    2: field('public key', '!+'),
    3: field('first commit', '!+'),
    4: field('how it came in', '!+'),
    5: field('introduction'),
  });
  const number = fields.count(1);
  if (number > 0xffff) throw corrupt('writer', 'its number is out of bounds');
  const origin = fields.count(4);
  if (origin < 1 || origin > LAST_ORIGIN) throw corrupt('writer', `how it came in is ${origin}, which is not known`);
  return {
    number,
    publicKey: fields.fixed(2, 32),
    firstCommit: fields.count(3),
    origin,
    introduction: fields.bytes(5),
    raw: bytes,
  };
}

/** The writer a commit number belongs to: the last one listed whose first commit is not above it (§5). */
export function rightfulWriter(writers: readonly Writer[], commitNumber: number): Writer | undefined {
  return writers.findLast((writer) => writer.firstCommit <= commitNumber);
}

/** Whether the introduction of a writer is signed by the writer listed before it; undefined when there is none. */
export function introductionHolds(writer: Writer, before: Writer | undefined, archiveId: Buffer): boolean | undefined {
  if (writer.introduction === undefined) return undefined;
  if (before === undefined) return false;
  const numbers = Buffer.alloc(2);
  numbers.writeUInt16LE(writer.number);
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(BigInt(writer.firstCommit));
  const parts = [Buffer.from('holdfast v1 writer', 'ascii'), archiveId, numbers, writer.publicKey, first];
  return signatureHolds(before.publicKey, parts, writer.introduction);
}

/** Number `u32` and hash of a keyring, as a commit names it. */
export function readKeyringName(bytes: Buffer): { readonly number: number; readonly hash: Buffer } {
  return readWhole(bytes, 'keyring name', (cursor: Cursor) => ({ number: cursor.u32(), hash: cursor.take(32) }));
}
