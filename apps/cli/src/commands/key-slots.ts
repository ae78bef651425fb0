import { shownOf } from '@holdfast/sdk';
import { timeText } from '../figures.ts';

/** A slot as the agent says it. */
export type Slot = {
  readonly slotId: string;
  readonly kind: string;
  readonly isCurrent: boolean;
  readonly firstKeyring: number;
  readonly lastKeyring: number;
  readonly madeAt?: string;
  readonly newestEpoch: number;
  readonly closedFrom?: string;
};

/** Everything that opens the archive, or did. */
export type KeyList = {
  readonly archiveId: string;
  readonly choice: string;
  readonly escrow: { readonly state: string; readonly reason: string; readonly remedy?: string };
  readonly keyring: number;
  readonly slots: readonly Slot[];
  readonly epochs: readonly { readonly epoch: number; readonly madeAt?: string }[];
};

/** What a change did, or would do. */
export type KeyChange = {
  readonly dryRun?: boolean;
  readonly choice: string;
  readonly added: readonly { readonly kind: string }[];
  readonly struck: readonly { readonly kind: string }[];
  readonly kept: readonly { readonly kind: string }[];
  readonly epoch: number;
  readonly opensUntilCommit: number;
  readonly destinations?: number;
  /** The organisation asks for escrow whatever the user chose: its server takes no further keyring. */
  readonly isDemanded?: boolean;
  /** Until now an own key had taken the place of escrow. */
  readonly letsOrganisationIn?: boolean;
};

const kindTexts: Readonly<Record<string, string>> = {
  recovery_code: 'recovery code',
  escrow: 'escrow of the organisation',
  password: 'archive key password',
  custom_key: 'custom key',
};
const choiceTexts: Readonly<Record<string, string>> = {
  standard: 'standard: escrow where the organisation asks for it',
  password: 'archive key password: no escrow, whatever the organisation asks for',
  custom: 'custom key: no escrow, whatever the organisation asks for',
};

/** What a kind of slot is called. */
export function kindText(kind: string): string {
  return kindTexts[kind] ?? 'a slot of a kind that this version does not know';
}

/** What opens the archive, and what opens its past, for people. */
export function keyListText({ choice, escrow, slots, keyring, epochs }: KeyList): string {
  const current = slots.filter(({ isCurrent }) => isCurrent);
  const struck = slots.filter(({ isCurrent }) => !isCurrent);
  const opening = current.map(
    ({ kind, madeAt, newestEpoch }) => `  ${kindText(kind)}${since(madeAt)}: everything, epochs 0 to ${newestEpoch}`,
  );
  const past = struck.map(
    ({ kind, madeAt, newestEpoch, closedFrom }) =>
      `  ${kindText(kind)}${since(madeAt)}: ${untilText(closedFrom)}, epochs 0 to ${newestEpoch}`,
  );
  return [
    `Policy: ${choiceTexts[choice] ?? choice}`,
    `Escrow: ${String(shownOf(escrow.reason))}`,
    ...(escrow.remedy === undefined ? [] : [`  What to do: ${escrow.remedy}`]),
    ...(opening.length === 0
      ? ['Besides this computer nothing opens the archive.', '  What to do: holdfast key show-recovery']
      : ['What opens the archive besides this computer:', ...opening]),
    ...(past.length === 0 ? [] : ['What was struck, and opens what was written before:', ...past]),
    `Keyring ${keyring}, ${epochs.length === 1 ? 'one epoch' : `${epochs.length} epochs`}; a key file that was exported opens the epochs there were then`,
  ].join('\n');
}

function since(madeAt: string | undefined): string {
  return madeAt === undefined ? '' : ` (since ${timeText(madeAt)})`;
}

function untilText(closedFrom: string | undefined): string {
  return closedFrom === undefined ? 'everything until it was struck' : `everything before ${timeText(closedFrom)}`;
}

/** What a change did, or would do, for people; `opened` says what opens the archive now. */
export function keyChangeText(change: KeyChange, opened: string): string {
  const { dryRun = false, struck, kept, opensUntilCommit, destinations, isDemanded, letsOrganisationIn } = change;
  const names = (slots: KeyChange['struck']) => slots.map(({ kind }) => kindText(kind)).join(', ');
  const commit =
    opensUntilCommit === 0 ? 'nothing: there is no commit yet' : `everything up to commit ${opensUntilCommit}`;
  return [
    dryRun ? `Nothing has changed. This would be done: ${opened}` : opened,
    ...(kept.length === 0 ? [] : [`Still opening it: ${names(kept)}.`]),
    ...(struck.length === 0
      ? []
      : [`Struck: ${names(struck)}. With the older keyring, each still opens ${commit}, and nothing written later.`]),
    `A key file that was exported before opens ${commit}, too. Nothing is uploaded again.`,
    ...(letsOrganisationIn
      ? ['This lets the organisation in: escrow is no longer kept out, and opens what there is.']
      : []),
    ...(isDemanded
      ? [
          'The organisation asks for escrow whatever is chosen here: its server takes no new keyring, and so nothing that is written from now on; folders do.',
        ]
      : []),
    ...(destinations === 0 ? ['The new keyring reaches the destinations when they are there.'] : []),
  ].join('\n');
}
