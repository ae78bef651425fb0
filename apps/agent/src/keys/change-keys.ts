import { storageErrors } from '@holdfast/contract';
import type { AgentParts } from '../agent.ts';
import { sendKeyRecords } from '../destinations/catch-up.ts';
import type { KeyPorts } from './archive-keyring.ts';
import { withChangedSlots } from './change-slots.ts';
import { keyErrors } from './errors.ts';
import { escrowChange, type EscrowSetting, judgeEscrow } from './escrow-policy.ts';
import type { StoredKeys } from './key-store.ts';

/** What changing keys works with. */
export type KeyChangeParts = Pick<
  AgentParts,
  'archive' | 'clock' | 'destinations' | 'escrow' | 'log' | 'protector' | 'random'
>;

/** Makes the next keyring; undefined where nothing is to be changed. */
type Change = (stored: StoredKeys, ports: KeyPorts & { readonly ordinal: number }) => StoredKeys | undefined;

/** The keyring there is now, and how many destinations have it. */
export type ChangedKeys = { readonly isChanged: boolean; readonly keyring: number; readonly destinations: number };

/**
 * Makes the next keyring and sends it to the destinations that are there; the others get it when they are.
 *
 * It is on stable storage here before it is sent, and before anything is sealed with an epoch that it begins: whoever is
 * killed on the way goes on with the keyring before, or with this one.
 * @throws keys.unsettled
 */
export function changeKeys(parts: KeyChangeParts, change: Change): Promise<ChangedKeys> {
  const { protector, archive, destinations, clock, random } = parts;
  const work = async () => {
    await protector.connect();
    const isChanged = save();
    for (const session of destinations.sessions()) {
      await sendKeyRecords(session, archive.stored.keyRecords).catch((error: unknown) =>
        destinations.lose(session, error),
      );
    }
    return { isChanged, keyring: archive.stored.keys.keyring.number, destinations: destinations.sessions().length };
  };
  const save = () => {
    // Which ordinals were used is not known, or somebody else uses them.
    if (archive.isIndexLost || archive.isOverrun) throw keyErrors.unsettled();
    const ordinal = archive.ordinalOf(archive.index.lease('ordinals', 1));
    const changed = change(archive.stored, { clock, random, ordinal });
    if (changed) archive.save(changed);
    return changed !== undefined;
  };
  return protector.exclusive(work, { isWholeNeeded: false });
}

/**
 * Does what the organisation asks of escrow, as far as the user's choice leaves it: a word of the server. A slot that the server
 * found not to open is made anew, once in 24 hours.
 *
 * A destination that refused a keyring under the setting before is tried again. @throws keys.unsettled
 */
export async function settleEscrow(parts: KeyChangeParts, setting: EscrowSetting): Promise<void> {
  const { archive, escrow, log, protector, random } = parts;
  const isNews = escrow.hear(setting);
  escrow.hearBroken(isSaidBroken(parts));
  if (!escrowChange(archive.stored, escrow, random)) {
    if (isNews) await protector.exclusive(() => protector.connect(), { isWholeNeeded: false });
    return;
  }
  const { isChanged, keyring } = await changeKeys(parts, (stored, ports) => {
    const change = escrowChange(stored, escrow, random);
    if (change?.added.length === 0) escrow.noteStruck();
    if (judgeEscrow(stored, escrow) === 'to_renew') escrow.noteRenewed();
    return change && withChangedSlots(stored, change, ports);
  });
  if (isChanged) log.info('the keyring follows what the organisation asks of escrow', { setting, keyring });
}

/** Whether a destination takes no commits, since the escrow slot of the archive did not open; of a single one a pass says it. */
function isSaidBroken({ destinations, protector }: KeyChangeParts): boolean {
  const standings = destinations.configs.map(({ destinationId }) => destinations.standingOf(destinationId));
  const errors = [
    protector.view.failure,
    ...standings.map((standing) => ('error' in standing ? standing.error : undefined)),
  ];
  return errors.some((error) => error?.code === storageErrors.escrow_broken.code);
}
