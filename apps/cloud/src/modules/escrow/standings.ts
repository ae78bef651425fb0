/** How the escrow slot of each archive's newest keyring stands: unproved, proved, or found not to open. */
import type { TenantTx } from '../../platform/postgres.ts';
import * as standings from './standings-store.ts';
import type { PlacedTry } from './tries-store.ts';

/** What became of the escrow slots of one keyring, together. */
export type Standing =
  | { readonly status: 'opens' }
  /** None of them opens; refused where that lies in the slots, and not in what the server lost. */
  | { readonly status: 'fails'; readonly code: string; readonly isRefused: boolean };

/** What a slot of the endpoint's making can be at fault for. All else may be the server's own: that stops no backup. */
const faultsOfSlots: ReadonlySet<string> = new Set([
  'escrow.not_opened',
  'escrow.not_committed',
  'escrow_try.keyring_too_long',
  'escrow_try.slot_lost',
  'hpke.bad_public_key',
  'keystore.bad_keyring',
  'keystore.no_epoch',
  'keystore.no_escrow_slot',
]);

function isFaultOfSlot(code: string): boolean {
  return faultsOfSlots.has(code) || code.startsWith('slot.') || code.startsWith('archive.');
}

/** Judges a keyring by what became of its escrow slots: one that opens is enough. At least one was tried. */
export function judgeSlots(outcomes: readonly string[]): Standing {
  if (outcomes.includes('opens')) return { status: 'opens' };
  const refused = outcomes.find(isFaultOfSlot);
  return { status: 'fails', code: refused ?? outcomes[0]!, isRefused: refused !== undefined };
}

/** Keeps how archives stand by a run's tries of their keyrings; one whose slots were not all tried yet stays as it is. */
export async function keepStandings(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly at: Date },
  tries: readonly PlacedTry[],
): Promise<void> {
  for (const slots of Map.groupBy(tries, ({ archiveId }) => archiveId).values()) {
    const outcomes = slots.flatMap(({ outcome }) => (outcome === null ? [] : [outcome]));
    const { archiveId, keyringSha256 } = slots[0]!;
    const standing = judgeSlots(outcomes);
    if (standing.status === 'opens') await standings.noteProved(tx, of.tenantId, { archiveId, keyringSha256 });
    else if (outcomes.length === slots.length)
      await standings.noteFailed(tx, of, { archiveId, keyringSha256, ...standing });
  }
}
