import { type EscrowFacts, type EscrowStanding, judgeEscrow } from '../keys/escrow-policy.ts';
import type { StoredKeys } from '../keys/key-store.ts';

/** How escrow stands, why, and what a person can do where something is to be done. */
export type ShownEscrow = { readonly state: EscrowStanding; readonly reason: string; readonly remedy?: string };

const byItself = 'the next keyring changes that; where it does not, see the destinations in: holdfast status';

const texts: Readonly<Record<EscrowStanding, { readonly reason: string; readonly remedy?: string }>> = {
  in_place: { reason: 'the keystore of the organisation can open this archive, by its rules of release' },
  off: { reason: 'nobody asks for escrow: no organisation can open this archive' },
  not_heard: { reason: 'the server has not said yet whether the organisation asks for escrow' },
  no_keys: { reason: 'this computer was given no keys for escrow: no organisation can open this archive' },
  kept_off: {
    reason: 'the organisation asks for escrow, and is kept out: the user of this archive chose a key of their own',
  },
  kept: {
    reason:
      'the organisation asks for no escrow any more; it stays until something else than this computer opens the archive',
    remedy: 'keep a recovery code: holdfast key show-recovery',
  },
  not_logged: {
    reason:
      'the organisation asks for escrow; its keys were not seen in the key log yet, and no escrow is made for them before',
    remedy: 'see how the key log stands: holdfast status; it is added by itself once they were seen there',
  },
  waits: {
    reason:
      'the organisation asks for no escrow any more; it was removed within the last 24 hours, and is removed again after them',
  },
  held: {
    reason:
      'escrow stays as it is: a computer with the keys of this one gave the archive a key that a change of escrow would end',
    remedy:
      'find out which computer that was; then make the keys anew here: holdfast key show-recovery, and holdfast key set-password where there was an own key',
  },
  renewed: {
    reason:
      'the server tried the escrow of this archive, and it did not open; it was made anew within the last 24 hours',
    remedy:
      'wait until the server has tried the new one; where it does not take it, ask who runs it: holdfast cloud doctor, and its log, say why',
  },
  to_renew: {
    reason: 'the server tried the escrow of this archive, and it did not open: no commits are taken there',
    remedy: byItself,
  },
  to_add: { reason: 'the organisation asks for escrow, and the keyring has none yet', remedy: byItself },
  to_replace: { reason: 'the keyring has escrow for other keys than those of the organisation', remedy: byItself },
  to_strike: { reason: 'the organisation asks for no escrow any more, and the keyring still has it', remedy: byItself },
};

/** Escrow of an archive as it is shown to its administrator. */
export function shownEscrow(stored: StoredKeys, facts: EscrowFacts): ShownEscrow {
  const state = judgeEscrow(stored, facts);
  if (state === 'kept_off' && facts.setting === 'always') {
    const remedy =
      'ask its administrator to allow an own key, or let it in: holdfast key use-standard; until then the server refuses new keyrings';
    return { state, ...texts[state], remedy };
  }
  return { state, ...texts[state] };
}
