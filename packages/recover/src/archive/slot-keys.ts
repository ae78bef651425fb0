import { describeError, RecoverError } from '../errors.ts';
import { readFields } from '../format/fields.ts';
import { type Keyring, type Slot, slotKinds } from '../format/keyring.ts';
import { type PasswordCost, readPasswordCost, workOut } from '../format/password-slot.ts';
import { deriveKey } from '../format/sealing.ts';
import { readCustomKey, readPassword, readRecoveryCode, type Secret } from '../format/secret.ts';
import type { Findings } from './findings.ts';
import { isVouchedFor } from './keyring-proof.ts';
import { quietly } from './quietly.ts';

/** How much work a slot may cause: all within the bounds, or none that was not done for another slot before. */
export type SlotEffort = 'any' | 'none';

/** The slot key that a secret gives for a slot; undefined where it gives none. */
export type SlotKeyOf = (slot: Slot, effort: SlotEffort) => Buffer | undefined;

/** The keyrings of one archive, newest first. */
export type ArchiveKeyrings = { readonly archiveId: Buffer; readonly keyrings: readonly Keyring[] };

/** Different password slots: worked out, too much for this machine, and left out as more than an archive has. */
export type SlotTries = { readonly workedOut: number; readonly tooCostly: number; readonly notTried: number };

/** What a secret makes of the keyrings of one archive after the other, and how far that went. */
export type SlotSecret = {
  readonly keysFor: (archive: ArchiveKeyrings, findings: Findings) => SlotKeyOf;
  readonly tries: () => SlotTries;
};

/** Over how many archives the tries are shared, and how many there are for one alone. */
export type SlotBudget = { readonly archives: number; readonly passwordTries?: number };

/** Any secret but a key file, which opens no slot. */
export type SlotSecretText = Exclude<Secret, { readonly keyFile: string }>;

const labels: Readonly<Record<number, string>> = {
  [slotKinds.recoveryCode]: 'holdfast v1 recovery slot',
  [slotKinds.password]: 'holdfast v1 password slot',
  [slotKinds.customKey]: 'holdfast v1 custom key slot',
};

/** Different password slots that are tried for an archive; what is beyond was forged. */
const DEFAULT_TRIES = 16;
const MOST_TRIES = 10_000;
/** Archives, by the headers in a folder, that get as many tries as one alone would. */
const ARCHIVES_IN_FULL = 4;
/** KiB times passes: the most that one slot can cost, and what each try adds to what all may cost. */
const SLOT_KIBIBYTE_PASSES = 10_485_760;
const TRY_KIBIBYTE_PASSES = SLOT_KIBIBYTE_PASSES / 4;

/**
 * Takes a secret that opens slots.
 *
 * @throws secret.invalid
 */
export function takeSlotSecret(secret: SlotSecretText, budget: SlotBudget = { archives: 1 }): SlotSecret {
  if ('password' in secret) return passwordSecret(readPassword(secret.password), budget);
  if ('customKey' in secret) return fixedSecret(slotKinds.customKey, readCustomKey(secret.customKey));
  return fixedSecret(slotKinds.recoveryCode, readRecoveryCode(secret.recoveryCode));
}

function fixedSecret(kind: number, bytes: Buffer): SlotSecret {
  const keysFor =
    ({ archiveId }: ArchiveKeyrings, findings: Findings): SlotKeyOf =>
    (slot) => {
      if (slot.kind !== kind) return undefined;
      if (quietly(() => readFields(slot.parameters ?? Buffer.alloc(0), 'slot', {})))
        return slotKey(bytes, archiveId, slot);
      const message = `a slot for a ${kindNames[kind]} has parameters that no reader takes`;
      findings.add({ severity: 'notice', code: 'slot.refused', message });
      return undefined;
    };
  return { keysFor, tries: () => ({ workedOut: 0, tooCostly: 0, notTried: 0 }) };
}

function slotKey(secret: Buffer, archiveId: Buffer, slot: Slot): Buffer {
  return deriveKey(secret, Buffer.concat([archiveId, slot.slotId]), labels[slot.kind]!);
}

/** Each salt and cost is worked out once, and only so many: those of keyrings that nobody could forge come first. */
function passwordSecret(password: Buffer, { archives, passwordTries = DEFAULT_TRIES }: SlotBudget): SlotSecret {
  if (!Number.isSafeInteger(passwordTries) || passwordTries < 1 || passwordTries > MOST_TRIES)
    throw new RecoverError('request.invalid', { field: 'passwordTries', what: `not 1 to ${MOST_TRIES}` });
  const tries = { workedOut: 0, tooCostly: 0, notTried: 0 };
  let left = passwordTries * ARCHIVES_IN_FULL;
  const share = Math.max(1, Math.min(passwordTries, Math.floor(left / archives)));
  const keysFor = ({ archiveId, keyrings }: ArchiveKeyrings, findings: Findings): SlotKeyOf => {
    const costs = costsOf(keyrings, findings);
    const first = keyrings.filter((keyring) => isVouchedFor(keyring, archiveId));
    const named = new Map(
      [...first, ...keyrings].flatMap(({ slots }) =>
        slots.flatMap((slot) => {
          const cost = costs.get(slot);
          return cost === undefined ? [] : [[cost.name, cost] as const];
        }),
      ),
    );
    const tried = affordable([...named.values()], Math.min(share, left));
    left -= tried.size;
    noteNotTried(named.size - tried.size, tries, findings);
    const workedOut = new Map<string, Buffer | undefined>();
    return (slot, effort) => {
      const cost = costs.get(slot);
      if (cost === undefined || !tried.has(cost.name)) return undefined;
      if (!workedOut.has(cost.name)) {
        if (effort === 'none') return undefined;
        const secret = tryToWorkOut(password, cost, findings);
        tries[secret === undefined ? 'tooCostly' : 'workedOut'] += 1;
        workedOut.set(cost.name, secret);
      }
      const secret = workedOut.get(cost.name);
      return secret && slotKey(secret, archiveId, slot);
    };
  };
  return { keysFor, tries: () => tries };
}

/** The first so many, as long as they together cost no more than so many may. */
function affordable(costs: readonly NamedCost[], tries: number): ReadonlySet<string> {
  let left = Math.max(SLOT_KIBIBYTE_PASSES, tries * TRY_KIBIBYTE_PASSES);
  const names = new Set<string>();
  for (const { name, memoryKibibytes, passes } of costs) {
    const kibibytePasses = memoryKibibytes * passes;
    if (names.size >= tries || kibibytePasses > left) continue;
    left -= kibibytePasses;
    names.add(name);
  }
  return names;
}

function noteNotTried(count: number, tries: { notTried: number }, findings: Findings): void {
  if (count === 0) return;
  tries.notTried += count;
  const message = `${count} password slots were not tried: there are more than an archive has`;
  findings.add({ severity: 'notice', code: 'slot.not_tried', message });
}

/** A slot that is too much for this machine may be a forged one, beside one that is not. */
function tryToWorkOut(password: Buffer, cost: PasswordCost, findings: Findings): Buffer | undefined {
  try {
    return workOut(password, cost);
  } catch (error) {
    if (!(error instanceof RecoverError)) throw error;
    findings.add({ severity: 'notice', code: 'slot.too_costly', message: describeError(error) });
    return undefined;
  }
}

type NamedCost = PasswordCost & { readonly name: string };

/** What each password slot asks for; those that ask for what no reader gives are said and left out. */
function costsOf(keyrings: readonly Keyring[], findings: Findings): ReadonlyMap<Slot, NamedCost> {
  const costs = new Map<Slot, NamedCost>();
  for (const { number, slots } of keyrings) {
    for (const slot of slots) {
      if (slot.kind !== slotKinds.password) continue;
      const cost = quietly(() => readPasswordCost(slot.parameters));
      if (cost === undefined) {
        const message = `keyring ${number}: a password slot has parameters that no reader takes`;
        findings.add({ severity: 'notice', code: 'slot.refused', message });
      } else {
        const { salt, memoryKibibytes, passes, lanes } = cost;
        costs.set(slot, { ...cost, name: `${salt.toString('hex')} ${memoryKibibytes} ${passes} ${lanes}` });
      }
    }
  }
  return costs;
}

const kindNames: Readonly<Record<number, string>> = {
  [slotKinds.recoveryCode]: 'recovery code',
  [slotKinds.escrow]: 'escrow, which only the keystore of its organisation opens',
  [slotKinds.password]: 'archive key password',
  [slotKinds.customKey]: 'custom key',
};

/** What there are slots for, in words: what to look for where a secret fitted none. */
export function nameSlots(kinds: readonly number[]): readonly string[] {
  const names = kinds.toSorted((a, b) => a - b).map((kind) => kindNames[kind] ?? 'something of a later version');
  return [...new Set(names)];
}
