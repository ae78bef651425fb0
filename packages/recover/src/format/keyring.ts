import { corrupt } from '../errors.ts';
import { type Cursor, readWhole } from './bytes.ts';
import { field, readFields, type Fields } from './fields.ts';
import { kinds, recordSignatureHolds, type RecordFrame } from './record.ts';
import { openHpke } from './hpke.ts';
import { hmac, sha256, signatureHolds } from './sealing.ts';

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

/** The open part of a keyring whose signature holds, with its frame. */
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

/**
 * Reads a keyring and checks what can be checked without a secret (§14.2): signed by a writer it lists, writer 0 having
 * the header's key. Undefined when one of these fails.
 *
 * @throws structure.corrupt
 */
export function readKeyring(frame: RecordFrame, header: Header): Keyring | undefined {
  const fields = readFields(frame.open, 'keyring', {
    1: field('number', '!+'),
    2: field('hash of the keyring before', '!+'),
    3: field('slot', '!*'),
    4: field('writer', '!*+'),
    5: field('made at'),
  });
  const number = fields.count(1);
  if (number < 1 || number > 0xffffffff) throw corrupt('keyring', 'its number is out of bounds');
  const writers = fields.all(4).map(readWriter);
  if (!writers.every((writer, index) => index === 0 || writer.number > writers[index - 1]!.number)) {
    throw corrupt('keyring', 'its writers do not rise');
  }
  const signer = writers.find((writer) => writer.number === Math.floor(frame.ordinal / 2 ** 32));
  const first = writers.find((writer) => writer.number === 0);
  if (signer === undefined || first?.publicKey.equals(header.firstWriterKey) !== true) return undefined;
  if (!recordSignatureHolds(header.archiveId, frame, signer.publicKey)) return undefined;
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

const knownKinds: readonly number[] = Object.values(slotKinds);

function readSlot(bytes: Buffer): { readonly kind: number; readonly slot: Slot | undefined } {
  const fields = readFields(bytes, 'slot', {
    1: field('slot id', '!'),
    2: field('kind', '!'),
    3: field('commitment', '!'),
    4: field('wrapped ring key', '!'),
    5: field('made at'),
    6: field('parameters', '!'),
  });
  const kind = fields.count(2);
  if (!knownKinds.includes(kind)) return { kind, slot: undefined };
  const fixed = { slotId: fields.fixed(1, 16), commitment: fields.fixed(3, 32), wrapped: fields.fixed(4, 80) };
  return { kind, slot: { kind, ...fixed, parameters: fields.bytes(6) } };
}

function readWriter(bytes: Buffer): Writer {
  const fields = readFields(bytes, 'writer', {
    1: field('number', '!'),
    2: field('public key', '!'),
    3: field('first commit', '!'),
    4: field('how it came in', '!'),
    5: field('introduction'),
  });
  const number = fields.count(1);
  if (number > 0xffff) throw corrupt('writer', 'its number is out of bounds');
  return {
    number,
    publicKey: fields.fixed(2, 32),
    firstCommit: fields.count(3),
    origin: fields.count(4),
    introduction: fields.bytes(5),
  };
}

/** Whether the introduction of a writer is signed by the writer listed before it; undefined when there is none. */
export function introductionHolds(keyring: Keyring, writer: Writer, archiveId: Buffer): boolean | undefined {
  if (writer.introduction === undefined) return undefined;
  const before = keyring.writers[keyring.writers.indexOf(writer) - 1];
  if (before === undefined) return false;
  const numbers = Buffer.alloc(2);
  numbers.writeUInt16LE(writer.number);
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(BigInt(writer.firstCommit));
  const parts = [Buffer.from('holdfast v1 writer', 'ascii'), archiveId, numbers, writer.publicKey, first];
  return signatureHolds(before.publicKey, parts, writer.introduction);
}

/** The ring key of a keyring, through a slot and its slot key; undefined when the slot is not this key's. */
export function openSlot(
  keyring: Keyring,
  slot: Slot,
  keys: { readonly slotKey: Buffer; readonly archiveId: Buffer },
): Buffer | undefined {
  const label = Buffer.from('holdfast v1 slot commitment', 'ascii');
  // The commitment first: a forged slot must not become an oracle for the slot key.
  if (!hmac(keys.slotKey, label, keys.archiveId, slot.slotId).equals(slot.commitment)) return undefined;
  const number = Buffer.alloc(4);
  number.writeUInt32LE(keyring.number);
  const info = Buffer.concat([Buffer.from('holdfast v1 slot', 'ascii'), keys.archiveId, number, slot.slotId]);
  return openHpke(keys.slotKey, info, slot.wrapped);
}

/** Key epochs by number, 32 bytes each. */
export type Epochs = ReadonlyMap<number, Buffer>;

/**
 * Reads the epochs out of the raw bytes of a ring.
 *
 * @throws structure.corrupt
 */
export function readRing(raw: Buffer): Epochs {
  const fields: Fields = readFields(raw, 'ring', { 1: field('epoch', '!*'), 2: field('public key of a slot', '!*') });
  const epochs = new Map<number, Buffer>();
  for (const bytes of fields.all(1)) {
    const epoch = readFields(bytes, 'epoch', {
      1: field('number', '!'),
      2: field('suite', '!'),
      3: field('key', '!'),
      4: field('made at'),
    });
    if (epoch.count(2) === 1) epochs.set(epoch.count(1), epoch.fixed(3, 32));
  }
  return epochs;
}

/** Number `u32` and hash of a keyring, as a commit names it. */
export function readKeyringName(bytes: Buffer): { readonly number: number; readonly hash: Buffer } {
  return readWhole(bytes, 'keyring name', (cursor: Cursor) => ({ number: cursor.u32(), hash: cursor.take(32) }));
}
