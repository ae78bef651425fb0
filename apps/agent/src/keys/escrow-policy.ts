/** Whether an archive has a slot that its tenant's keystore opens: what the policy asks for, and what the user's choice leaves. */
import type { KeyringSlot } from '@holdfast/archive';
import { CodedError, type Random } from '@holdfast/base';
import { PolicySettings } from '@holdfast/contract';
import {
  type EscrowKeys,
  escrowSlotKind,
  hpkeKeyId,
  parseEscrowKeys,
  parseEscrowParameters,
  prepareEscrowSlot,
} from '@holdfast/trust';
import { carriedSlots, newestKeyring } from './archive-keyring.ts';
import type { SlotChange } from './change-slots.ts';
import type { StoredKeys } from './key-store.ts';

/** What an org asks of its archives. */
export type EscrowSetting = PolicySettings['escrow'];

/** What an agent knows of escrow: the keys pinned when it enrolled, and the setting that it heard last. */
export type EscrowFacts = { readonly keys: EscrowKeys | undefined; readonly setting: EscrowSetting | undefined };

/** How escrow of an archive stands, and what is to be done about it. */
export type EscrowStanding =
  /** Nothing is to be done: it is there, nobody asks for it, it is not known yet, or the agent has no keys for it. */
  | 'in_place'
  | 'off'
  | 'not_heard'
  | 'no_keys'
  /** It is asked for, and the user has chosen a key of their own: it stays off. */
  | 'kept_off'
  /** Nobody asks for it any more, and without it nothing but this computer would open the archive: it stays. */
  | 'kept'
  /** The next keyring has it, has it for other keys, or has it no more. */
  | 'to_add'
  | 'to_replace'
  | 'to_strike';

/** The keys of a tenant's document as slots are sealed to them. @throws escrow_keys.malformed */
export function escrowKeysOf(text: string): EscrowKeys {
  const { logSealingKey, keystoreKey } = parseEscrowKeys(text);
  const bytes = (key: string) => new Uint8Array(Buffer.from(key, 'base64url'));
  return { logKey: bytes(logSealingKey), keystoreKey: bytes(keystoreKey) };
}

/** Judges how escrow of an archive stands. A setting is never stronger than what the user chose. */
export function judgeEscrow(stored: StoredKeys, { keys, setting }: EscrowFacts): EscrowStanding {
  if (!keys) return 'no_keys';
  if (setting === undefined) return 'not_heard';
  if (stored.choice) return setting === 'off' ? 'off' : 'kept_off';
  const escrow = newestKeyring(stored).slots.filter(({ kind }) => kind === escrowSlotKind);
  if (setting === 'off') {
    if (escrow.length === 0) return 'off';
    return carriedSlots(stored).some(({ kind }) => kind !== escrowSlotKind) ? 'to_strike' : 'kept';
  }
  if (escrow.length === 0) return 'to_add';
  return escrow.length === 1 && isSealedTo(escrow[0]!, keys) ? 'in_place' : 'to_replace';
}

/** What the next keyring changes about escrow; undefined where nothing is to be changed. */
export function escrowChange(stored: StoredKeys, facts: EscrowFacts, random: Random): SlotChange | undefined {
  const standing = judgeEscrow(stored, facts);
  const { archiveId } = stored.keys;
  const isEscrow = ({ kind }: KeyringSlot) => kind === escrowSlotKind;
  if (standing === 'to_strike') return { isStruck: isEscrow, added: [] };
  if (standing !== 'to_add' && standing !== 'to_replace') return undefined;
  return { isStruck: isEscrow, added: [prepareEscrowSlot(archiveId, facts.keys!, random)] };
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

/** What an agent knows of escrow while it runs; the setting outlives it. */
export class EscrowPolicy implements EscrowFacts {
  readonly keys: EscrowKeys | undefined;
  readonly #facts: Facts;

  constructor(facts: Facts, keys: EscrowKeys | undefined) {
    this.#facts = facts;
    this.keys = keys;
  }

  get setting(): EscrowSetting | undefined {
    return PolicySettings.shape.escrow.safeParse(this.#facts.fact(settingFact)).data;
  }

  /** Takes down what the server said. Returns whether it is another thing than before. */
  hear(setting: EscrowSetting): boolean {
    if (this.setting === setting) return false;
    this.#facts.setFact(settingFact, setting);
    return true;
  }
}
