/** Whether an archive has a slot that its tenant's keystore opens: what the policy asks for, and what the user's choice leaves. */
import type { KeyringSlot } from '@holdfast/archive';
import { type Clock, CodedError, type Random } from '@holdfast/base';
import { PolicySettings } from '@holdfast/contract';
import { type EscrowKeys, escrowSlotKind, hpkeKeyId, parseEscrowParameters, prepareEscrowSlot } from '@holdfast/trust';
import { carriedSlots, newestKeyring, strangeKinds } from './archive-keyring.ts';
import type { SlotChange } from './change-slots.ts';
import type { StoredKeys } from './key-store.ts';

/** What an org asks of its archives. */
export type EscrowSetting = PolicySettings['escrow'];

/** What an agent knows of escrow: the keys pinned when it enrolled, and the setting that it heard last. */
export type EscrowFacts = {
  readonly keys: EscrowKeys | undefined;
  readonly setting: EscrowSetting | undefined;
  /** Whether the tenant's key log, as this computer checked it, has those keys: no slot is sealed to others. */
  readonly areKeysLogged: boolean;
  /** Whether escrow was struck in the last 24 hours: it is not struck again before they are over. */
  readonly wasStruckLately?: boolean;
  /** Whether the server takes no commits, since it tried the escrow slot and it did not open. */
  readonly isBroken?: boolean;
  /** Whether the slot was made anew for that in the last 24 hours: it is not again before they are over. */
  readonly wasRenewedLately?: boolean;
};

/** How escrow of an archive stands, and what is to be done about it. */
export type EscrowStanding =
  /** Nothing is to be done: it is there, nobody asks for it, it is not known yet, or the agent has no keys for it. */
  | 'in_place'
  | 'off'
  | 'not_heard'
  | 'no_keys'
  /** It is asked for, and the user has chosen a key of their own: it stays off. */
  | 'kept_off'
  /** It is asked for, and its keys were not seen in the key log, where every computer of the tenant would see them, too. */
  | 'not_logged'
  /** Nobody asks for it any more, and without it nothing but this computer would open the archive: it stays. */
  | 'kept'
  /** It is to be struck, which happened within the last 24 hours; then it is struck. */
  | 'waits'
  /** It is to be struck or replaced, which would cost a key of the user's that another life of the computer made: it stays. */
  | 'held'
  /** It did not open when the server tried it, and was made anew within the last 24 hours. */
  | 'renewed'
  /** The next keyring has it, has it for other keys, has it made anew, or has it no more. */
  | 'to_add'
  | 'to_replace'
  | 'to_renew'
  | 'to_strike';

/** Judges how escrow of an archive stands. A setting is never stronger than what the user chose. */
export function judgeEscrow(stored: StoredKeys, facts: EscrowFacts): EscrowStanding {
  const { keys, setting } = facts;
  if (!keys) return 'no_keys';
  if (setting === undefined) return 'not_heard';
  if (stored.choice) return setting === 'off' ? 'off' : 'kept_off';
  const escrow = newestKeyring(stored).slots.filter(isEscrow);
  if (setting === 'off') return escrow.length === 0 ? 'off' : judgeStrike(stored, facts);
  return isInPlace(stored, escrow, keys) ? judgeInPlace(stored, facts) : judgeLacking(stored, escrow, facts);
}

/** Of escrow that is as it has to be by what it says: the server may have found that it does not open. */
function judgeInPlace(stored: StoredKeys, { isBroken, areKeysLogged, wasRenewedLately }: EscrowFacts): EscrowStanding {
  if (!isBroken) return 'in_place';
  if (!areKeysLogged) return 'not_logged';
  if (isHeld(stored)) return 'held';
  return wasRenewedLately ? 'renewed' : 'to_renew';
}

function judgeLacking(
  stored: StoredKeys,
  escrow: readonly KeyringSlot[],
  { areKeysLogged }: EscrowFacts,
): EscrowStanding {
  if (!areKeysLogged) return 'not_logged';
  if (escrow.length === 0) return 'to_add';
  return isHeld(stored) ? 'held' : 'to_replace';
}

/** One that another life put there may hold rubbish, and is in no further keyring. */
function isInPlace(stored: StoredKeys, escrow: readonly KeyringSlot[], keys: EscrowKeys): boolean {
  return escrow.length === 1 && isSealedTo(escrow[0]!, keys) && carriedSlots(stored).some(isEscrow);
}

function judgeStrike(stored: StoredKeys, { wasStruckLately = false }: EscrowFacts): EscrowStanding {
  if (isHeld(stored)) return 'held';
  if (carriedSlots(stored).every(isEscrow)) return 'kept';
  return wasStruckLately ? 'waits' : 'to_strike';
}

const isEscrow = ({ kind }: Pick<KeyringSlot, 'kind'>) => kind === escrowSlotKind;

/** Whether a new epoch would cost a key that a user has and did not strike. */
function isHeld(stored: StoredKeys): boolean {
  return [...strangeKinds(stored)].some((kind) => !isEscrow({ kind }));
}

/** What the next keyring changes about escrow; undefined where nothing is to be changed. */
export function escrowChange(stored: StoredKeys, facts: EscrowFacts, random: Random): SlotChange | undefined {
  const standing = judgeEscrow(stored, facts);
  const { archiveId } = stored.keys;
  if (standing === 'to_strike') return { isStruck: isEscrow, added: [] };
  if (standing !== 'to_add' && standing !== 'to_replace' && standing !== 'to_renew') return undefined;
  return { isStruck: isEscrow, added: [prepareEscrowSlot(archiveId, facts.keys!, random)] };
}

/**
 * What escrow lacks where the user chose no own key, or does not any more: a slot for the keys that are pinned, in place of any
 * others. That it is to be struck is left to the policy: an own key may be what else opens the archive, and be struck just now.
 */
export function escrowLacking(
  { choice: _none, ...stored }: StoredKeys,
  facts: EscrowFacts,
  random: Random,
): SlotChange | undefined {
  const change = escrowChange(stored, facts, random);
  return change && change.added.length > 0 ? change : undefined;
}

/** Whether a slot is sealed to these keys, by what it says; one whose parameters are not its kind's is to none. */
function isSealedTo(slot: KeyringSlot, { logKey, keystoreKey }: EscrowKeys): boolean {
  try {
    const { outerKeyId, innerKeyId } = parseEscrowParameters(slot);
    return !Buffer.compare(outerKeyId, hpkeKeyId(logKey)) && !Buffer.compare(innerKeyId, hpkeKeyId(keystoreKey));
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

/** Where the setting that was heard last is kept. */
type Facts = {
  fact(key: string): string | number | undefined;
  setFact(key: string, value: string | number | undefined): void;
};

const settingFact = 'escrow.setting';
const struckFact = 'escrow.struck_at_ms';
const renewedFact = 'escrow.renewed_at_ms';
const DAY_MS = 86_400_000;

/** What an agent knows of escrow while it runs; the setting outlives it. */
export class EscrowPolicy implements EscrowFacts {
  readonly keys: EscrowKeys | undefined;
  readonly #facts: Facts;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #areKeysLogged: () => boolean;
  #isBroken = false;

  constructor(
    facts: Facts,
    known: {
      readonly keys: EscrowKeys | undefined;
      readonly areKeysLogged: () => boolean;
      readonly clock: Pick<Clock, 'now'>;
    },
  ) {
    this.#facts = facts;
    this.keys = known.keys;
    this.#areKeysLogged = known.areKeysLogged;
    this.#clock = known.clock;
  }

  get setting(): EscrowSetting | undefined {
    return PolicySettings.shape.escrow.safeParse(this.#facts.fact(settingFact)).data;
  }

  get areKeysLogged(): boolean {
    return this.#areKeysLogged();
  }

  get wasStruckLately(): boolean {
    return this.#isOfToday(struckFact);
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  get wasRenewedLately(): boolean {
    return this.#isOfToday(renewedFact);
  }

  /** A clock that was ahead at the last time, and is right now, holds nothing up. */
  #isOfToday(fact: string): boolean {
    const agoMs = this.#clock.now() - Number(this.#facts.fact(fact) ?? Number.NEGATIVE_INFINITY);
    return agoMs >= 0 && agoMs < DAY_MS;
  }

  /** Takes down what the server said. Returns whether it is another thing than before. */
  hear(setting: EscrowSetting): boolean {
    if (this.setting === setting) return false;
    this.#facts.setFact(settingFact, setting);
    return true;
  }

  /** Takes in whether the server takes no commits for the escrow slot that does not open. */
  hearBroken(isBroken: boolean): void {
    this.#isBroken = isBroken;
  }

  /** Takes down that the escrow slot is made anew now: a server could say for ever that it does not open. */
  noteRenewed(): void {
    this.#facts.setFact(renewedFact, this.#clock.now());
  }

  /** Takes down that escrow is struck now: each time costs an epoch, and a server could ask for it again and again. */
  noteStruck(): void {
    this.#facts.setFact(struckFact, this.#clock.now());
  }
}
