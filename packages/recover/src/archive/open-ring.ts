import type { Keyring } from '../format/keyring.ts';
import { openRing, openSlot, type Ring } from '../format/ring.ts';
import { quietly } from './quietly.ts';
import type { SlotOpener } from './slot-keys.ts';

/** What opening takes: keyrings by rising number, and in which of them what costs work is tried first. */
export type RingOpening = {
  readonly archiveId: Buffer;
  readonly opener: SlotOpener;
  readonly keyrings: readonly Keyring[];
  /** The line that is chosen where nothing is opened and no commit looked at, oldest first. */
  readonly plainLine: readonly Keyring[];
  readonly isIntroduced: (keyring: Keyring) => boolean;
};

/**
 * The rings of all keyrings that the secret opens (§14, "Opening").
 *
 * What costs work is done for the plain line first, which nobody can forge, and for the others only where it opened none.
 */
export function openRings(by: RingOpening): ReadonlyMap<Keyring, Ring> {
  const { keyrings, plainLine, isIntroduced } = by;
  const plain = new Set(plainLine);
  const others = keyrings.filter((keyring) => !plain.has(keyring));
  prepareUntil(by, plainLine, plainLine.at(-1));
  const isOpen = plainLine.some((keyring) => opens(by, keyring)) || prepareUntil(by, others.filter(isIntroduced));
  if (!isOpen) prepareUntil(by, others);
  const rings = new Map<Keyring, Ring>();
  for (const keyring of keyrings) {
    const ring = ringOf(by, keyring);
    if (ring !== undefined) rings.set(keyring, ring);
  }
  return rings;
}

/** Works slots out until the keyring that is wanted opens, or where none is named, any of these. */
function prepareUntil(by: RingOpening, keyrings: readonly Keyring[], wanted?: Keyring): boolean {
  if (wanted !== undefined && opens(by, wanted)) return true;
  for (const keyring of keyrings) {
    if (wanted === undefined && opens(by, keyring)) return true;
    for (const slot of keyring.slots) if (by.opener.prepare(slot) && opens(by, wanted ?? keyring)) return true;
  }
  return false;
}

const opens = (by: RingOpening, keyring: Keyring): boolean => ringOf(by, keyring) !== undefined;

/** The ring of a keyring, through the slot that the secret opens; undefined when there is none. */
function ringOf({ archiveId, opener }: RingOpening, keyring: Keyring): Ring | undefined {
  for (const slot of keyring.slots) {
    const slotKey = opener.keyFor(slot);
    const ringKey = slotKey && openSlot(keyring, slot, { slotKey, archiveId });
    const ring = ringKey && quietly(() => openRing(keyring, ringKey, archiveId));
    if (ring !== undefined) return ring;
  }
  return undefined;
}
