/** What opens the archive, as its user decides: which slots there are, and an own key in place of escrow, or not. */
import { millisecondsOf } from '@holdfast/archive';
import {
  customKeySlotKind,
  expectNoParameters,
  hpkeBytes,
  parsePasswordParameters,
  passwordSlotKind,
  type PreparedSlot,
} from '@holdfast/trust';
import { CodedError } from '@holdfast/base';
import { z } from 'zod';
import type { AgentParts } from '../agent.ts';
import { carriedSlots } from '../keys/archive-keyring.ts';
import { changeKeys, type KeyChangeParts } from '../keys/change-keys.ts';
import { type SlotLife, slotLives, withOwnKey, withStandardKeys } from '../keys/change-slots.ts';
import { keyErrors } from '../keys/errors.ts';
import { escrowLacking } from '../keys/escrow-policy.ts';
import { type OwnKeyChoice, ownKeyChoices, type StoredKeys } from '../keys/key-store.ts';
import { shownEscrow } from './shown-escrow.ts';
import { controlErrors } from './errors.ts';

const Hex = (least: number, most = least) =>
  z
    .string()
    .regex(/^([0-9a-f]{2})*$/, 'it must be bytes in hexadecimal')
    .refine((text) => text.length >= 2 * least && text.length <= 2 * most, `it must be ${least} to ${most} bytes`);

/** A slot that whoever asks has prepared: what opens it stays there. */
const Prepared = z.strictObject({
  slotId: Hex(16),
  commitment: Hex(32),
  parameters: Hex(1, 256).optional(),
  publicKey: Hex(hpkeBytes.key),
});

/** What `key.use-own` is asked with. */
export const UseOwn = z.strictObject({
  choice: z.enum(ownKeyChoices),
  slot: Prepared,
  withEscrow: z.boolean().optional(),
  dryRun: z.boolean().optional(),
});

const kinds: Readonly<Record<OwnKeyChoice, number>> = { password: passwordSlotKind, custom: customKeySlotKind };

/** `key.list`: every slot there is or was, which epochs it opens and until when, and what was chosen. */
export function answerKeyList({ archive, escrow }: AgentParts): object {
  const { stored } = archive;
  return {
    archiveId: Buffer.from(archive.archiveId).toString('hex'),
    choice: stored.choice ?? 'standard',
    escrow: shownEscrow(stored, escrow),
    keyring: stored.keys.keyring.number,
    slots: slotLives(stored).map(shownLife),
    epochs: stored.keys.ring.epochs.map(({ number, madeAt }) => ({
      epoch: number,
      ...(madeAt && { madeAt: new Date(millisecondsOf(madeAt)).toISOString() }),
    })),
  };
}

function shownLife({ madeAtMs, closedFromMs, ...life }: SlotLife): object {
  return {
    ...life,
    ...(madeAtMs !== undefined && { madeAt: new Date(madeAtMs).toISOString() }),
    ...(closedFromMs !== undefined && { closedFrom: new Date(closedFromMs).toISOString() }),
  };
}

/**
 * `key.use-own`: the slot of an archive key password or custom key, which whoever asks has prepared; the older one is
 * struck and, unless it is to stay, escrow. Whose own key has taken the place of escrow already may set another one, whatever
 * the organisation asks for by now: it may have leaked. @throws keys.escrow_demanded, keys.unsettled, control.invalid
 */
export async function answerKeyUseOwn(parts: AgentParts, given: z.infer<typeof UseOwn>): Promise<object> {
  const { choice, withEscrow: keepsEscrow = false } = given;
  const { archive, escrow, random } = parts;
  const slot = preparedSlot(given);
  expectNewSlot(archive.stored, given.slot.slotId);
  const isDemanded = !keepsEscrow && escrow.keys !== undefined && escrow.setting === 'always';
  if (isDemanded && archive.stored.choice === undefined) throw keyErrors.escrow_demanded();
  const letsOrganisationIn = keepsEscrow && archive.stored.choice !== undefined;
  const outcome = await change(parts, given, (stored, ports) => {
    const lacking = keepsEscrow ? escrowLacking(stored, escrow, random) : undefined;
    return withOwnKey(stored, { choice, slot, keepsEscrow, escrow: lacking }, ports);
  });
  return { ...outcome, ...(isDemanded && { isDemanded }), ...(letsOrganisationIn && { letsOrganisationIn }) };
}

/** A slot keeps its number through all keyrings: what opens a second one under it would be said of the first. @throws control.invalid */
function expectNewSlot(stored: StoredKeys, slotId: string): void {
  if (slotLives(stored).every((life) => life.slotId !== slotId)) return;
  throw controlErrors.invalid({ field: 'slot.slotId', problem: 'the archive has or had a slot of that number' });
}

/**
 * `key.use-standard`: no own key any more, and escrow where the organisation asks for it.
 *
 * @throws keys.no_way_in, keys.unsettled
 */
export async function answerKeyUseStandard(
  parts: AgentParts,
  given: { dryRun?: boolean | undefined },
): Promise<object> {
  const { escrow, random } = parts;
  return change(parts, given, (stored, ports) => {
    const next = withStandardKeys(stored, escrowLacking(stored, escrow, random), ports);
    if (carriedSlots(next).length === 0) throw keyErrors.no_way_in();
    return next;
  });
}

/** Makes the next keyring, or only what would become of it; and says what is struck and until where it opens. */
async function change(
  parts: KeyChangeParts,
  { dryRun = false }: { readonly dryRun?: boolean | undefined },
  next: Parameters<typeof changeKeys>[1],
): Promise<object> {
  const { archive, clock, random } = parts;
  const before = archive.stored;
  if (dryRun) {
    const after = next(before, { clock, random, ordinal: archive.ordinalOf(0xffffffff) });
    return { dryRun, ...outcomeOf(before, after ?? before, archive.index.head().number) };
  }
  let opensUntil = 0;
  const { keyring, destinations } = await changeKeys(parts, (stored, ports) => {
    // What waits to be acknowledged was sealed before, too.
    opensUntil = Math.max(archive.index.head().number, archive.index.unacknowledgedCommit()?.number ?? 0);
    return next(stored, ports);
  });
  return { ...outcomeOf(before, archive.stored, opensUntil), keyring, destinations };
}

/** Which slots are struck, and the last commit that they and older keys open. */
function outcomeOf(before: StoredKeys, after: StoredKeys, opensUntil: number): object {
  const lives = slotLives(after);
  const wasCurrent = new Set(slotLives(before).flatMap((life) => (life.isCurrent ? [life.slotId] : [])));
  const of = (isMeant: (life: SlotLife) => boolean) =>
    lives.filter(isMeant).map(({ slotId, kind }) => ({ slotId, kind }));
  return {
    choice: after.choice ?? 'standard',
    added: of(({ slotId, isCurrent }) => isCurrent && !wasCurrent.has(slotId)),
    struck: of(({ slotId, isCurrent }) => !isCurrent && wasCurrent.has(slotId)),
    kept: of(({ slotId, isCurrent }) => isCurrent && wasCurrent.has(slotId)),
    epoch: after.keys.ring.epochs.at(-1)!.number,
    opensUntilCommit: opensUntil,
  };
}

function preparedSlot({ choice, slot: given }: z.infer<typeof UseOwn>): PreparedSlot {
  const { slotId, commitment, parameters, publicKey } = given;
  const bytes = (text: string) => Uint8Array.fromHex(text);
  const slot = {
    slotId: bytes(slotId),
    kind: kinds[choice],
    commitment: bytes(commitment),
    ...(parameters !== undefined && { parameters: bytes(parameters) }),
  };
  try {
    if (choice === 'password') parsePasswordParameters(slot);
    else expectNoParameters(slot);
  } catch (error) {
    if (error instanceof CodedError)
      throw controlErrors.invalid({ field: 'slot.parameters', problem: error.message }, error);
    throw error;
  }
  return { slot, publicKey: bytes(publicKey) };
}
