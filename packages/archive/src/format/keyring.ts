import { archiveErrors, corrupt } from '../errors.ts';
import { ByteWriter } from './cursor.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';
import type { Time } from './time.ts';

/** Slots that one keyring may have: more would only hold a reader up. */
export const mostSlots = 64;

/** Kinds of slots by the numbers of the format. */
export const slotKinds = { recoveryCode: 1, escrow: 2, password: 3, customKey: 4 } as const;

/**
 * One way into the ring: the ring key, sealed to the public key of a slot key that a secret leads to. Of an unknown kind,
 * any lengths but the id's.
 */
export type KeyringSlot = WithUnknown & {
  /** 16 random bytes. */
  readonly slotId: Uint8Array;
  /** May be one that this version cannot open. */
  readonly kind: number;
  /** 32 bytes. */
  readonly commitment: Uint8Array;
  /** Encapsulated key (32) and sealed ring key (48). */
  readonly wrappedRingKey: Uint8Array;
  readonly madeAt?: Time;
  /** Parameters of the kind, as fields. */
  readonly parameters?: Uint8Array;
};

/** How a writer came in; by the numbers of the format, from 1. */
export const writerOrigins = ['first', 'state_lost', 'device_signed', 'recovery_code', 'administrator'] as const;

/** How a writer came in. */
export type WriterOrigin = (typeof writerOrigins)[number];

/** Who may sign, from which commit on. */
export type Writer = WithUnknown & {
  readonly number: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly firstCommit: number;
  readonly origin: WriterOrigin;
  /** Signature of the writer before over `introductionMessage`, where it could be had. */
  readonly introduction?: Uint8Array;
};

/** The open part of a keyring record. */
export type Keyring = WithUnknown & {
  /** From 1. */
  readonly number: number;
  /** SHA-256 of the whole keyring record before; zeros for number 1. */
  readonly previous: Uint8Array;
  readonly slots: readonly KeyringSlot[];
  /** By rising number; at least one. */
  readonly writers: readonly Writer[];
  readonly madeAt?: Time;
};

/** A key epoch as the ring holds it. */
export type RingEpoch = WithUnknown & {
  readonly number: number;
  readonly suite: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly madeAt?: Time;
};

/** What a keyring seals. */
export type Ring = WithUnknown & {
  /** By rising number; at least one. */
  readonly epochs: readonly RingEpoch[];
  /** The public key (X25519, 32 bytes) of every slot: the next ring key is sealed to it, and it opens nothing. */
  readonly slotKeys: readonly (WithUnknown & { readonly slotId: Uint8Array; readonly publicKey: Uint8Array })[];
};

const keyringFields = defineFields('keyring', {
  1: 'must',
  2: 'must',
  3: 'must repeated',
  4: 'must repeated',
  5: 'may',
});
const slotFields = defineFields('slot', { 1: 'must', 2: 'must', 3: 'must', 4: 'must', 5: 'may', 6: 'must' });
const writerFields = defineFields('writer', { 1: 'must', 2: 'must', 3: 'must', 4: 'must', 5: 'may' });
const ringFields = defineFields('ring', { 1: 'must repeated', 2: 'must repeated' });
const epochFields = defineFields('epoch', { 1: 'must', 2: 'must', 3: 'must', 4: 'may' });
const slotKeyFields = defineFields('slot key', { 1: 'must', 2: 'must' });

/** Reads the open part of a keyring. @throws archive.corrupt, archive.unknown_field */
export function parseKeyring(open: Uint8Array): Keyring {
  const fields = new FieldReader(open, keyringFields);
  let number: number | undefined;
  let previous: Uint8Array | undefined;
  let madeAt: Time | undefined;
  const slots: KeyringSlot[] = [];
  const writers: Writer[] = [];
  while (fields.next()) {
    if (fields.tag === 1) number = fields.number(0xffffffff);
    else if (fields.tag === 2) previous = fields.exactly(32);
    else if (fields.tag === 3) slots.push(parseNextSlot(fields, slots.length));
    else if (fields.tag === 4) writers.push(parseWriter(fields.bytes()));
    else madeAt = fields.time();
  }
  if (number === 0) throw corrupt('keyring: there is none of number 0');
  if (writers.length === 0) throw corrupt('keyring: it has no writer');
  expectRising(writers, 'writers');
  return {
    number: fields.required(number, 1),
    previous: fields.required(previous, 2),
    slots,
    writers,
    ...(madeAt && { madeAt }),
    ...fields.kept(),
  };
}

/** The open part of a keyring. */
export function encodeKeyring(keyring: Keyring): Uint8Array<ArrayBuffer> {
  const fields = new FieldWriter(keyringFields, keyring.unknown);
  fields.number(1, keyring.number).bytes(2, keyring.previous);
  for (const slot of keyring.slots) fields.bytes(3, encodeSlot(slot));
  for (const writer of keyring.writers) fields.bytes(4, encodeWriter(writer));
  return fields.time(5, keyring.madeAt).finish();
}

function parseNextSlot(fields: FieldReader, before: number): KeyringSlot {
  if (before === mostSlots) throw corrupt('keyring: it has more slots than there may be');
  return parseSlot(fields.bytes());
}

const knownKinds: ReadonlySet<number> = new Set(Object.values(slotKinds));

function parseSlot(bytes: Uint8Array): KeyringSlot {
  const fields = new FieldReader(bytes, slotFields);
  const slot: { -readonly [K in keyof KeyringSlot]?: KeyringSlot[K] } = {};
  while (fields.next()) {
    if (fields.tag === 1) slot.slotId = fields.exactly(16);
    else if (fields.tag === 2) slot.kind = fields.number();
    else if (fields.tag === 3) slot.commitment = fields.bytes();
    else if (fields.tag === 4) slot.wrappedRingKey = fields.bytes();
    else if (fields.tag === 5) slot.madeAt = fields.time();
    else slot.parameters = fields.bytes();
  }
  const parsed = {
    ...slot,
    slotId: fields.required(slot.slotId, 1),
    kind: fields.required(slot.kind, 2),
    commitment: fields.required(slot.commitment, 3),
    wrappedRingKey: fields.required(slot.wrappedRingKey, 4),
    ...fields.kept(),
  };
  if (knownKinds.has(parsed.kind)) expectLengths(parsed);
  return parsed;
}

function expectLengths({ commitment, wrappedRingKey }: KeyringSlot): void {
  if (commitment.length === 32 && wrappedRingKey.length === 80) return;
  throw corrupt('slot: a field is not of the length its kind has');
}

function encodeSlot(slot: KeyringSlot): Uint8Array {
  return new FieldWriter(slotFields, slot.unknown)
    .bytes(1, slot.slotId)
    .number(2, slot.kind)
    .bytes(3, slot.commitment)
    .bytes(4, slot.wrappedRingKey)
    .time(5, slot.madeAt)
    .bytes(6, slot.parameters)
    .finish();
}

function parseWriter(bytes: Uint8Array): Writer {
  const fields = new FieldReader(bytes, writerFields);
  const writer: { -readonly [K in keyof Writer]?: Writer[K] } = {};
  while (fields.next()) {
    if (fields.tag === 1) writer.number = fields.number(0xffff);
    else if (fields.tag === 2) writer.publicKey = fields.exactly(32);
    else if (fields.tag === 3) writer.firstCommit = fields.number();
    else if (fields.tag === 4) writer.origin = readOrigin(fields);
    else writer.introduction = fields.exactly(64);
  }
  return {
    ...writer,
    number: fields.required(writer.number, 1),
    publicKey: fields.required(writer.publicKey, 2),
    firstCommit: fields.required(writer.firstCommit, 3),
    origin: fields.required(writer.origin, 4),
    ...fields.kept(),
  };
}

/** The bytes of a writer in a keyring: equal writers have equal ones. */
export function encodeWriter(writer: Writer): Uint8Array {
  return new FieldWriter(writerFields, writer.unknown)
    .number(1, writer.number)
    .bytes(2, writer.publicKey)
    .number(3, writer.firstCommit)
    .number(4, writerOrigins.indexOf(writer.origin) + 1)
    .bytes(5, writer.introduction)
    .finish();
}

function readOrigin(fields: FieldReader): WriterOrigin {
  const number = fields.number();
  const origin = writerOrigins[number - 1];
  if (origin === undefined) throw archiveErrors.unknown_field({ what: 'writer', origin: number });
  return origin;
}

/** Reads the raw bytes of a ring. @throws archive.corrupt, archive.unknown_field */
export function parseRing(raw: Uint8Array): Ring {
  const fields = new FieldReader(raw, ringFields);
  const epochs: RingEpoch[] = [];
  const slotKeys: Ring['slotKeys'][number][] = [];
  while (fields.next()) {
    if (fields.tag === 1) epochs.push(parseEpoch(fields.bytes()));
    else slotKeys.push(parseSlotKey(fields.bytes()));
  }
  if (epochs.length === 0) throw corrupt('ring: it has no epoch');
  expectRising(epochs, 'epochs');
  return { epochs, slotKeys, ...fields.kept() };
}

/** The raw bytes of a ring. */
export function encodeRing(ring: Ring): Uint8Array<ArrayBuffer> {
  const fields = new FieldWriter(ringFields, ring.unknown);
  for (const epoch of ring.epochs) {
    const of = new FieldWriter(epochFields, epoch.unknown).number(1, epoch.number).number(2, epoch.suite);
    fields.bytes(1, of.bytes(3, epoch.key).time(4, epoch.madeAt).finish());
  }
  for (const { slotId, publicKey, unknown } of ring.slotKeys) {
    fields.bytes(2, new FieldWriter(slotKeyFields, unknown).bytes(1, slotId).bytes(2, publicKey).finish());
  }
  return fields.finish();
}

function parseEpoch(bytes: Uint8Array): RingEpoch {
  const fields = new FieldReader(bytes, epochFields);
  const epoch: { -readonly [K in keyof RingEpoch]?: RingEpoch[K] } = {};
  while (fields.next()) {
    if (fields.tag === 1) epoch.number = fields.number(0xffff);
    else if (fields.tag === 2) epoch.suite = fields.number();
    else if (fields.tag === 3) epoch.key = fields.exactly(32);
    else epoch.madeAt = fields.time();
  }
  return {
    ...epoch,
    number: fields.required(epoch.number, 1),
    suite: fields.required(epoch.suite, 2),
    key: fields.required(epoch.key, 3),
    ...fields.kept(),
  };
}

function parseSlotKey(bytes: Uint8Array): Ring['slotKeys'][number] {
  const fields = new FieldReader(bytes, slotKeyFields);
  let [slotId, publicKey]: (Uint8Array | undefined)[] = [];
  while (fields.next()) {
    if (fields.tag === 1) slotId = fields.exactly(16);
    else publicKey = fields.exactly(32);
  }
  return { slotId: fields.required(slotId, 1), publicKey: fields.required(publicKey, 2), ...fields.kept() };
}

function expectRising(items: readonly { readonly number: number }[], what: string): void {
  for (const [index, item] of items.entries()) {
    if (index > 0 && items[index - 1]!.number >= item.number) throw corrupt(`keyring: its ${what} do not rise`);
  }
}

/** The writer whose commits of this number count: the last listed whose first commit is not above it. */
export function writerOfCommit(writers: readonly Writer[], commit: number): Writer | undefined {
  return writers.findLast((writer) => writer.firstCommit <= commit);
}

/** What the writer before signs to introduce the next one. */
export function introductionMessage(
  archiveId: Uint8Array,
  writer: Pick<Writer, 'number' | 'publicKey' | 'firstCommit'>,
): Uint8Array<ArrayBuffer> {
  const message = new ByteWriter(128).put(new TextEncoder().encode('holdfast v1 writer')).put(archiveId);
  return message.u16(writer.number).put(writer.publicKey).u64(writer.firstCommit).written().slice();
}
