/** What an org's policy demands of its archives' keyrings. */
import type { Keyring } from '@holdfast/archive/log';
import { CodedError } from '@holdfast/base';
import type { PolicySettings } from '@holdfast/contract';
import {
  customKeySlotKind,
  type EscrowParameters,
  escrowSlotKind,
  parseEscrowParameters,
  passwordSlotKind,
} from '@holdfast/trust';
import type { EscrowKeyIds } from '../escrow/index.ts';

type Slot = Keyring['slots'][number];

/**
 * Whether a keyring lacks the escrow that is asked for, for one of these pairs of keys.
 *
 * With `required` a slot of the user's own choosing (archive key password, custom key) stands in its place, with `always`
 * nothing does. It is only seen what slots say: whether one opens is for the keystore to prove.
 */
export function lacksEscrow(
  { slots }: Pick<Keyring, 'slots'>,
  setting: PolicySettings['escrow'],
  keyIds: readonly EscrowKeyIds[],
): boolean {
  return demandsEscrow({ slots }, setting) && !slots.some((slot) => isSealedTo(slot, keyIds));
}

/** Whether a keyring has to have escrow: with `required` a slot of the user's own choosing stands in its place. */
export function demandsEscrow({ slots }: Pick<Keyring, 'slots'>, setting: PolicySettings['escrow']): boolean {
  return setting === 'always' || (setting === 'required' && !slots.some(isOwnKey));
}

function isOwnKey({ kind }: Slot): boolean {
  return kind === passwordSlotKind || kind === customKeySlotKind;
}

function isSealedTo(slot: Slot, keyIds: readonly EscrowKeyIds[]): boolean {
  const says = parametersOf(slot);
  return keyIds.some(
    ({ outerKeyId, innerKeyId }) => says?.outerKeyId.toHex() === outerKeyId && says.innerKeyId.toHex() === innerKeyId,
  );
}

function parametersOf(slot: Slot): EscrowParameters | undefined {
  if (slot.kind !== escrowSlotKind) return undefined;
  try {
    return parseEscrowParameters(slot);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
