/** The next keyring with other slots, and what the slots of all keyrings open. */
import { type KeyringSlot, millisecondsOf, parseKeyring, sealKeyring, splitRecord } from '@holdfast/archive';
import {
  customKeySlotKind,
  escrowSlotKind,
  passwordSlotKind,
  type PreparedSlot,
  recoverySlotKind,
  wrapSlot,
} from '@holdfast/trust';
import { type KeyPorts, newestKeyring, rewrapping } from './archive-keyring.ts';
import type { OwnKeyChoice, StoredKeys } from './key-store.ts';

/** What the next keyring has that the newest one has not, and the other way round. */
export type SlotChange = {
  readonly isStruck: (slot: KeyringSlot) => boolean;
  readonly added: readonly PreparedSlot[];
  /** What is written from now on is closed to all that was handed out before, key files included. */
  readonly beginsEpoch?: boolean;
};

/**
 * The next keyring with these slots. `ordinal` was never used.
 *
 * Where one is struck a new epoch begins, which it does not open. What was written before, it still opens.
 */
export function withChangedSlots(
  stored: StoredKeys,
  { isStruck, added, beginsEpoch = false }: SlotChange,
  ports: KeyPorts & { readonly ordinal: number },
): StoredKeys {
  const { slots, writers } = newestKeyring(stored);
  const others = slots.filter((slot) => !isStruck(slot));
  const kept = rewrapping(stored, others, ports.random);
  const { keys, record } = sealKeyring(stored.keys, {
    ...ports,
    writers,
    wrapSlots: (place, ringKey) => [
      ...kept(place, ringKey),
      ...added.map((slot) => wrapSlot(slot, place, ringKey, ports.random)),
    ],
    beginsEpoch: beginsEpoch || others.length < slots.length,
  });
  return { ...stored, keys, keyRecords: [...stored.keyRecords, record] };
}

/** Kinds of slots that belong to a choice of the user's: one of them is there at a time. */
const chosenKinds: ReadonlySet<number> = new Set([passwordSlotKind, customKeySlotKind]);

/** An own key as it is set. */
export type OwnKey = {
  readonly choice: OwnKeyChoice;
  readonly slot: PreparedSlot;
  readonly keepsEscrow: boolean;
  /** What escrow that stays lacks. */
  readonly escrow?: SlotChange | undefined;
};

/**
 * The next keyring with an own key in place of the older one and, unless that is to stay, of escrow. The recovery code
 * stays: it is the user's, too.
 */
export function withOwnKey(
  stored: StoredKeys,
  own: OwnKey,
  ports: KeyPorts & { readonly ordinal: number },
): StoredKeys {
  const { slot, keepsEscrow, escrow } = own;
  const isStruck = (each: KeyringSlot) =>
    chosenKinds.has(each.kind) || (keepsEscrow ? escrow?.isStruck(each) === true : each.kind === escrowSlotKind);
  const added = [slot, ...(escrow?.added ?? [])];
  const changed = withChangedSlots(stored, { isStruck, added, beginsEpoch: true }, ports);
  // Beside escrow an own key is one more way in, and no choice against anybody.
  return own.keepsEscrow ? withoutChoice(changed) : { ...changed, choice: own.choice };
}

/** The next keyring under the standard policy: without an own key, with what escrow lacks. */
export function withStandardKeys(
  stored: StoredKeys,
  escrow: SlotChange | undefined,
  ports: KeyPorts & { readonly ordinal: number },
): StoredKeys {
  const isStruck = (slot: KeyringSlot) => chosenKinds.has(slot.kind) || escrow?.isStruck(slot) === true;
  const added = escrow?.added ?? [];
  return withoutChoice(withChangedSlots(stored, { isStruck, added, beginsEpoch: true }, ports));
}

function withoutChoice({ choice: _none, ...stored }: StoredKeys): StoredKeys {
  return stored;
}

/** What slots are called, by the format's number of their kind. */
const kindNames: Readonly<Record<number, SlotKindName>> = {
  [recoverySlotKind]: 'recovery_code',
  [escrowSlotKind]: 'escrow',
  [passwordSlotKind]: 'password',
  [customKeySlotKind]: 'custom_key',
};

/** A kind of slot; `unknown` is one of a later version. */
export type SlotKindName = 'recovery_code' | 'escrow' | 'password' | 'custom_key' | 'unknown';

/** A slot through all keyrings that have it, without anything secret. */
export type SlotLife = {
  /** 16 bytes, hex. */
  readonly slotId: string;
  readonly kind: SlotKindName;
  /** Whether the newest keyring has it. */
  readonly isCurrent: boolean;
  /** The keyrings that have it. */
  readonly firstKeyring: number;
  readonly lastKeyring: number;
  /** When the first of them was made, in milliseconds since 1970; absent where it does not say. */
  readonly madeAtMs?: number;
  /** It opens this epoch and all before. */
  readonly newestEpoch: number;
  /** When the first epoch began that it does not open; absent where it opens all there is, or that does not say. */
  readonly closedFromMs?: number;
};

/** The slots of all keyrings, in the order in which they came. */
export function slotLives({ keys, keyRecords }: StoredKeys): readonly SlotLife[] {
  const lives = new Map<string, SlotLife>();
  const newest = keys.keyring.number;
  for (const record of keyRecords.slice(1)) {
    const { header, open } = splitRecord(record);
    const { number, slots, madeAt } = parseKeyring(open);
    for (const slot of slots) {
      const slotId = Buffer.from(slot.slotId).toString('hex');
      const firstMadeAtMs = madeAt && millisecondsOf(madeAt);
      const before = lives.get(slotId) ?? {
        slotId,
        kind: kindNames[slot.kind] ?? 'unknown',
        firstKeyring: number,
        ...(firstMadeAtMs !== undefined && { madeAtMs: firstMadeAtMs }),
      };
      const life = { ...before, lastKeyring: number, isCurrent: number === newest, newestEpoch: header.epoch };
      lives.set(slotId, life);
    }
  }
  return [...lives.values()].map((life) => {
    const closedFrom = keys.ring.epochs.find(({ number }) => number > life.newestEpoch)?.madeAt;
    return closedFrom ? { ...life, closedFromMs: millisecondsOf(closedFrom) } : life;
  });
}
