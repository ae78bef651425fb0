/** The secrets a device keeps of its archive, and the records that begin one or bring in another writer. */
import { hash } from 'node:crypto';
import { type Clock, type Random, systemRandom } from '@holdfast/base';
import { createSigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { draftRevision, encodeHeader, suiteOne } from '../format/header.ts';
import { equalBytes } from '../format/cursor.ts';
import { deriveKeyRing } from '../format/keys.node.ts';
import {
  encodeKeyring,
  encodeRing,
  introductionMessage,
  type KeyringSlot,
  type Ring,
  type Writer,
  type WriterOrigin,
} from '../format/keyring.ts';
import { ordinalOf } from '../format/ordinal.ts';
import { sealRecord } from '../format/seal.node.ts';
import { timeOfMilliseconds } from '../format/time.ts';

/** Everything that a device must keep to itself, and that nothing can rebuild. */
export type ArchiveKeys = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly ring: Ring;
  readonly writerNumber: number;
  /** 32 bytes: Ed25519 of this writer. */
  readonly signingSeed: Uint8Array;
  /** The newest keyring this device made or took over. */
  readonly keyring: { readonly number: number; readonly sha256: Uint8Array };
};

/** Where a slot stands. */
export type SlotPlace = { readonly archiveId: Uint8Array; readonly keyringNumber: number };

/** Seals a fresh ring key for every slot; a slot's public key goes into the ring. */
export type WrapSlots = (
  place: SlotPlace,
  ringKey: Uint8Array,
) => readonly { readonly slot: KeyringSlot; readonly publicKey: Uint8Array }[];

/** A new archive: its keys, and the two records it begins with. */
export type CreatedArchive = {
  readonly keys: ArchiveKeys;
  readonly header: Uint8Array<ArrayBuffer>;
  readonly keyring: Uint8Array<ArrayBuffer>;
};

/** Makes a new archive of its own key; nothing is stored yet. */
export function createArchive(clock: Clock, wrapSlots: WrapSlots, random: Random = systemRandom): CreatedArchive {
  const signingSeed = random(32);
  const { publicKey } = createSigningKey(signingSeed);
  const open = encodeHeader({
    formatVersion: 1,
    draft: draftRevision,
    salt: random(32),
    suite: suiteOne,
    writerKey: publicKey,
  });
  const header = sealRecord(
    { kind: 'header', epoch: 0, ordinal: 0, open },
    signer(new Uint8Array(16), signingSeed),
    random,
  );
  const archiveId = hash('sha256', header, 'buffer').slice(0, 16);
  const madeAt = timeOfMilliseconds(clock.now());
  const ring: Ring = { epochs: [{ number: 0, suite: suiteOne, key: random(32), madeAt }], slotKeys: [] };
  const writers: Writer[] = [{ number: 0, publicKey, firstCommit: 1, origin: 'first' }];
  const before = { archiveId, ring, writerNumber: 0, signingSeed, keyring: { number: 0, sha256: new Uint8Array(32) } };
  const { keys, record } = sealKeyring(before, { ordinal: ordinalOf(0, 1), writers, wrapSlots, clock, random });
  return { keys, header, keyring: record };
}

/** The next keyring: writers as given, slots as `wrapSlots` makes them, and the same epochs or a new one after them. */
export function sealKeyring(
  before: ArchiveKeys,
  next: {
    readonly ordinal: number;
    readonly writers: readonly Writer[];
    readonly wrapSlots: WrapSlots;
    /** Seals what is written from now on with a key that no older keyring holds. */
    readonly beginsEpoch?: boolean;
    readonly clock: Clock;
    readonly random?: Random;
  },
): { readonly keys: ArchiveKeys; readonly record: Uint8Array<ArrayBuffer> } {
  const { archiveId, signingSeed } = before;
  const random = next.random ?? systemRandom;
  const number = before.keyring.number + 1;
  const ringKey = random(32);
  const slots = next.wrapSlots({ archiveId, keyringNumber: number }, ringKey);
  const slotKeys = slots.map(({ slot, publicKey }) => ({ slotId: slot.slotId, publicKey }));
  const madeAt = timeOfMilliseconds(next.clock.now());
  const newest = before.ring.epochs.at(-1)!;
  const epoch = { number: newest.number + 1, suite: suiteOne, key: random(32), madeAt };
  const epochs = next.beginsEpoch ? [...before.ring.epochs, epoch] : before.ring.epochs;
  const ring: Ring = { ...before.ring, epochs, slotKeys };
  const open = encodeKeyring({
    number,
    previous: before.keyring.sha256,
    slots: slots.map(({ slot }) => slot),
    writers: next.writers,
    madeAt,
  });
  const sealKeys = { ...signer(archiveId, signingSeed), ring: deriveKeyRing(archiveId, ring.epochs), ringKey };
  const raw = encodeRing(ring);
  // Who opens it in a process that must forget the ring could not overwrite what zstd keeps of it.
  const compression = 'none';
  const content = {
    kind: 'keyring',
    epoch: epochs.at(-1)!.number,
    ordinal: next.ordinal,
    open,
    raw,
    compression,
  } as const;
  const record = sealRecord(content, sealKeys, random);
  const sha256 = hash('sha256', record, 'buffer');
  return { keys: { ...before, ring, keyring: { number, sha256 } }, record };
}

/**
 * The same device as a new writer: after its state was lost, rolled back or cloned. `head` is the newest commit of the
 * archive; the key of the writer before, where it is still there, introduces the new one.
 */
export function bringInWriter(
  before: ArchiveKeys,
  known: { readonly writers: readonly Writer[]; readonly headNumber: number; readonly origin: WriterOrigin },
  ports: { readonly wrapSlots: WrapSlots; readonly clock: Clock; readonly random?: Random },
): { readonly keys: ArchiveKeys; readonly record: Uint8Array<ArrayBuffer> } {
  const random = ports.random ?? systemRandom;
  const number = Math.max(...known.writers.map((writer) => writer.number)) + 1;
  const signingSeed = random(32);
  const { publicKey } = createSigningKey(signingSeed);
  const bare = { number, publicKey, firstCommit: known.headNumber + 1, origin: known.origin };
  const own = createSigningKey(before.signingSeed);
  // Only the writer before may introduce: the key of one that has ended may be in an old copy of the disk.
  const isLast = equalBytes(own.publicKey, known.writers.at(-1)?.publicKey ?? new Uint8Array());
  const introduction = isLast && { introduction: signMessage(own, introductionMessage(before.archiveId, bare)) };
  const writers = [...known.writers, { ...bare, ...introduction }];
  const as = { ...before, writerNumber: number, signingSeed };
  return sealKeyring(as, { ordinal: ordinalOf(number, 0), writers, ...ports, random });
}

function signer(archiveId: Uint8Array, seed: Uint8Array) {
  const key = createSigningKey(seed);
  return { archiveId, ring: new Map(), sign: (message: Uint8Array) => signMessage(key, message) };
}
