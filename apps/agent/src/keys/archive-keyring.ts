/** Making an archive's keys, and the next keyrings: a recovery code, a writer. Nothing here is stored or sent. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  bringInWriter,
  createArchive,
  introductionMessage,
  isRecordSignedBy,
  isSignedBy,
  type Keyring,
  type KeyringSlot,
  parseKeyring,
  sealKeyring,
  splitRecord,
  type Writer,
  writerOf,
  type WriterOrigin,
  type WrapSlots,
} from '@holdfast/archive';
import { assert, type Clock, type Random } from '@holdfast/base';
import {
  customKeySlotKind,
  type EscrowKeys,
  escrowSlotKind,
  makeRecoverySlot,
  passwordSlotKind,
  type PreparedSlot,
  prepareEscrowSlot,
  recoverySlotKind,
  rewrapSlot,
  wrapSlot,
} from '@holdfast/trust';
import type { StoredKeys } from './key-store.ts';

/** Where time and chance come from. */
export type KeyPorts = { readonly clock: Clock; readonly random: Random };

/**
 * A new archive. With the 32 bytes of a recovery code it has a slot for it from the start, with a tenant's escrow keys one
 * for these.
 */
export function makeArchive(ports: KeyPorts, recoverySecret?: Uint8Array, escrow?: EscrowKeys): StoredKeys {
  const { random } = ports;
  const wrapSlots: WrapSlots = (place, ringKey) => [
    ...(recoverySecret ? [makeRecoverySlot(place, ringKey, recoverySecret, random)] : []),
    ...(escrow ? [wrapSlot(prepareEscrowSlot(place.archiveId, escrow, random), place, ringKey, random)] : []),
  ];
  const { keys, header, keyring } = createArchive(ports.clock, wrapSlots, ports.random);
  return {
    keys,
    keyRecords: [header, keyring],
    ...(recoverySecret && { recoveryConfirmedAtMs: ports.clock.now() }),
  };
}

/**
 * The next keyring: with a slot for this recovery code, and without any older slot for one. `ordinal` was never used.
 *
 * Where an older code is struck a new epoch begins, which that code does not open: not with the keyrings it was in
 * either. What was written before, it still opens.
 */
export function withRecoveryCode(
  stored: StoredKeys,
  recoverySecret: Uint8Array,
  ports: KeyPorts & { readonly ordinal: number },
): StoredKeys {
  const { slots, writers } = newestKeyring(stored);
  const others = slots.filter((slot) => slot.kind !== recoverySlotKind);
  const kept = rewrapping(stored, others, ports.random);
  const wrapSlots: WrapSlots = (place, ringKey) => [
    ...kept(place, ringKey),
    makeRecoverySlot(place, ringKey, recoverySecret, ports.random),
  ];
  const { keys, record } = sealKeyring(stored.keys, {
    ...ports,
    writers,
    wrapSlots,
    beginsEpoch: others.length < slots.length || strangeKinds(stored).has(recoverySlotKind),
  });
  const keyRecords = [...stored.keyRecords, record];
  return { ...stored, keys, keyRecords, recoveryConfirmedAtMs: ports.clock.now() };
}

/** The next keyring: with this device as a new writer from the commit after `headNumber` on, and with the slots that are added. */
export function withNewWriter(
  stored: StoredKeys,
  next: { readonly headNumber: number; readonly origin: WriterOrigin; readonly added?: readonly PreparedSlot[] },
  ports: KeyPorts,
): StoredKeys {
  const { slots, writers } = newestKeyring(stored);
  const { added = [], ...known } = next;
  const kept = rewrapping(stored, slots, ports.random);
  const wrapSlots: WrapSlots = (place, ringKey) => [
    ...kept(place, ringKey),
    ...added.map((slot) => wrapSlot(slot, place, ringKey, ports.random)),
  ];
  const { keys, record } = bringInWriter(stored.keys, { writers, ...known }, { ...ports, wrapSlots });
  return { ...stored, keys, keyRecords: [...stored.keyRecords, record] };
}

/**
 * Takes over keyrings that another life of this device wrote: those that follow ours, by rising number, each signed by
 * the newest writer it lists, with the known writers as they were and every new one introduced by the writer before it. Others are
 * left out, as is one of another epoch than ours is: with the key of a newer one we could not go on, and would seal on with
 * the one that was struck; behind one of an older epoch nothing counts. One that lacks a slot of ours, or has it otherwise, is
 * left out, too: no life strikes a slot without beginning an epoch, and what goes on behind it would lose a code that nobody struck.
 */
export function withForeignKeyrings(stored: StoredKeys, records: readonly Uint8Array[]): StoredKeys {
  let taken = stored;
  for (const record of records) {
    const { open, header } = splitRecord(record);
    const { number, previous, slots, writers } = parseKeyring(open);
    const { archiveId, keyring } = taken.keys;
    if (header.epoch !== taken.keys.ring.epochs.at(-1)!.number || !hasOurSlots(taken, slots)) break;
    if (number !== keyring.number + 1 || Buffer.compare(previous, keyring.sha256) !== 0) break;
    const signer = writers.at(-1);
    if (signer?.number !== writerOf(header.ordinal) || !isRecordSignedBy(record, archiveId, signer.publicKey)) break;
    if (!areIntroduced(writers, writersOf(taken), archiveId)) break;
    const sha256 = new Uint8Array(createHash('sha256').update(record).digest());
    taken = {
      ...taken,
      keys: { ...taken.keys, keyring: { number, sha256 } },
      keyRecords: [...taken.keyRecords, record],
    };
  }
  return taken;
}

/** Whether all known writers are there as they were, and each new one is introduced by the writer before it. */
function areIntroduced(writers: readonly Writer[], known: readonly Writer[], archiveId: Uint8Array): boolean {
  const isKept = known.every(
    (writer, index) => writers[index] && isDeepStrictEqual(plain(writer), plain(writers[index])),
  );
  return (
    isKept &&
    writers.slice(known.length).every((writer, index) => {
      const before = writers[known.length + index - 1];
      const { introduction } = writer;
      if (!before || introduction === undefined) return false;
      return isSignedBy(before.publicKey, introductionMessage(archiveId, writer), introduction);
    })
  );
}

/** Whether the slots that we carry are among these as they were, each once; what each wraps is the keyring's own. */
function hasOurSlots(stored: StoredKeys, slots: readonly KeyringSlot[]): boolean {
  const ours = carriedSlots(stored);
  const theirs = slots.filter((slot) => isCarried(stored, slot));
  return theirs.length === ours.length && ours.every((slot) => theirs.some((other) => isSameSlot(slot, other)));
}

function isSameSlot(one: KeyringSlot, other: KeyringSlot): boolean {
  const [first, second] = [one, other].map(({ slotId, commitment, parameters, wrappedRingKey: _wrapped, ...slot }) => ({
    ...slot,
    ...unknownOf(slot),
    bytes: [slotId, commitment, parameters].map(hexOf),
  }));
  return isDeepStrictEqual(first, second);
}

/** Bytes may be in arrays of several types. */
function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex');
}

function unknownOf({ unknown }: Pick<KeyringSlot, 'unknown'>) {
  return { unknown: unknown?.map(({ value, ...field }) => ({ ...field, value: hexOf(value) })) };
}

function plain({ publicKey, introduction, ...writer }: Writer): object {
  return { ...writer, ...unknownOf(writer), publicKey: hexOf(publicKey), introduction: hexOf(introduction) };
}

/** Who may write to the archive, by the newest keyring at hand. */
export function writersOf(stored: StoredKeys): readonly Writer[] {
  return newestKeyring(stored).writers;
}

/** Whether a recovery code opens the newest keyring. */
export function hasRecoverySlot(stored: StoredKeys): boolean {
  return newestKeyring(stored).slots.some(({ kind }) => kind === recoverySlotKind);
}

/** Whether an archive key password or a custom key opens the newest keyring. */
export function hasOwnKeySlot(stored: StoredKeys): boolean {
  return newestKeyring(stored).slots.some(({ kind }) => kind === passwordSlotKind || kind === customKeySlotKind);
}

/** The newest keyring at hand, as everybody can read it. */
export function newestKeyring({ keyRecords }: Pick<StoredKeys, 'keyRecords'>): Keyring {
  const newest = keyRecords.at(-1);
  assert(newest !== undefined, 'a key file holds at least a header and a keyring');
  return parseKeyring(splitRecord(newest).open);
}

/** Of another kind it is not known how its ring key is wrapped. */
const rewrappedKinds: ReadonlySet<number> = new Set([
  recoverySlotKind,
  escrowSlotKind,
  passwordSlotKind,
  customKeySlotKind,
]);

/** The slots of the newest keyring that the next one can have, too: of a known kind, with a public key in the ring. */
export function carriedSlots(stored: StoredKeys): readonly KeyringSlot[] {
  return newestKeyring(stored).slots.filter((slot) => isCarried(stored, slot));
}

function isCarried(stored: StoredKeys, slot: KeyringSlot): boolean {
  return rewrappedKinds.has(slot.kind) && publicKeyOf(stored, slot) !== undefined;
}

function publicKeyOf({ keys }: StoredKeys, { slotId }: KeyringSlot): Uint8Array | undefined {
  return keys.ring.slotKeys.find((slotKey) => Buffer.compare(slotKey.slotId, slotId) === 0)?.publicKey;
}

/**
 * The kinds of slots that open what is written now and that no next keyring can have: another life of the device made them.
 * They end with the epoch, wherever one begins.
 */
export function strangeKinds(stored: StoredKeys): ReadonlySet<number> {
  const newestEpoch = stored.keys.ring.epochs.at(-1)!.number;
  const slots = stored.keyRecords.slice(1).flatMap((record) => {
    const { header, open } = splitRecord(record);
    return header.epoch === newestEpoch ? parseKeyring(open).slots : [];
  });
  return new Set(slots.filter((slot) => publicKeyOf(stored, slot) === undefined).map(({ kind }) => kind));
}

/**
 * Wraps the slots whose public key the ring has: nobody's secret is asked for, and what an older ring holds opens none of
 * them. One that another life of the device added, or of a kind that is not known, cannot be kept.
 */
export function rewrapping(stored: StoredKeys, slots: readonly KeyringSlot[], random: Random): WrapSlots {
  return (place, ringKey) =>
    slots.flatMap((slot) => {
      if (!rewrappedKinds.has(slot.kind)) return [];
      const publicKey = publicKeyOf(stored, slot);
      return publicKey ? [{ slot: rewrapSlot(slot, place, { ringKey, publicKey }, random), publicKey }] : [];
    });
}
