import { type Epochs, type Keyring, openSlot, readRing } from '../format/keyring.ts';
import { associatedData, nonceOf } from '../format/record.ts';
import { openSealed, unwrapPlaintext } from '../format/sealing.ts';
import type { Findings } from './findings.ts';
import { isVouchedFor } from './keyring-proof.ts';
import { quietly } from './quietly.ts';
import type { SlotEffort, SlotKeyOf } from './slot-keys.ts';

/** A keyring that the secret opened. */
export type OpenedRing = { readonly opened: Keyring; readonly epochs: Epochs };

/** What opening takes. */
export type RingOpening = { readonly archiveId: Buffer; readonly slotKeyOf: SlotKeyOf; readonly findings: Findings };

/**
 * The newest keyring that the secret opens (§14.2): of those in which every writer was introduced, which nobody can
 * forge, or a newer one that opens without further work and goes on with the same epochs. Without the former, any.
 */
export function openNewestRing(keyrings: readonly Keyring[], by: RingOpening): OpenedRing | undefined {
  const vouched = new Set(keyrings.filter((keyring) => isVouchedFor(keyring, by.archiveId)));
  const others = keyrings.filter((keyring) => !vouched.has(keyring));
  const proven = firstThatOpens([...vouched], by, 'any');
  if (proven === undefined) return firstThatOpens(others, by, 'any');
  const newer = others.filter(({ number }) => number > proven.opened.number);
  return firstThatOpens(newer, by, 'none', proven.epochs) ?? proven;
}

function firstThatOpens(
  keyrings: readonly Keyring[],
  by: RingOpening,
  effort: SlotEffort,
  before: Epochs = new Map(),
): OpenedRing | undefined {
  for (const opened of keyrings) {
    const epochs = openRing(opened, by, effort);
    if (epochs === undefined) continue;
    if ([...before].every(([number, key]) => epochs.get(number)?.equals(key) === true)) return { opened, epochs };
    const message = `keyring ${opened.number} does not go on with the keys of the one before it: it does not count`;
    by.findings.add({ severity: 'notice', code: 'keyring.other_epochs', message });
  }
  return undefined;
}

/** The epochs of a keyring, through the slot that the secret opens; undefined when there is none. */
function openRing(keyring: Keyring, { archiveId, slotKeyOf }: RingOpening, effort: SlotEffort): Epochs | undefined {
  for (const slot of keyring.slots) {
    const slotKey = slotKeyOf(slot, effort);
    const ringKey = slotKey && openSlot(keyring, slot, { slotKey, archiveId });
    if (ringKey === undefined) continue;
    const { frame } = keyring;
    const plain = openSealed(
      { key: ringKey, nonce: nonceOf(frame), associated: associatedData(archiveId, frame) },
      frame.sealed,
    );
    const epochs = plain === undefined ? undefined : quietly(() => readRing(unwrapPlaintext(plain).bytes));
    if (epochs !== undefined) return epochs;
  }
  return undefined;
}
