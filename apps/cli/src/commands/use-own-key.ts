import type { PreparedSlot } from '@holdfast/trust';
import { ask } from '../agent-socket.ts';
import { type KeyChange, keyChangeText } from './key-slots.ts';

/** Has the agent take a slot that was prepared here: JSON and text of what was done. */
export async function useOwnKey(own: {
  readonly choice: 'password' | 'custom';
  readonly slot: PreparedSlot;
  readonly opened: string;
  readonly withEscrow?: boolean;
  readonly dryRun?: boolean;
}): Promise<[KeyChange, string]> {
  const { choice, opened, withEscrow, dryRun } = own;
  const { slot, publicKey } = own.slot;
  const prepared = {
    slotId: slot.slotId.toHex(),
    commitment: slot.commitment.toHex(),
    publicKey: publicKey.toHex(),
    ...(slot.parameters && { parameters: slot.parameters.toHex() }),
  };
  const asked = { choice, slot: prepared, ...(withEscrow && { withEscrow }), ...(dryRun && { dryRun }) };
  const change = await ask<KeyChange>('key.use-own', asked);
  return [change, keyChangeText(change, opened)];
}
