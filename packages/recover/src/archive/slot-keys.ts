import { describeError, RecoverError } from '../errors.ts';
import { type Keyring, type Slot, slotKinds } from '../format/keyring.ts';
import { type PasswordCost, readPasswordCost, workOut } from '../format/password-slot.ts';
import { deriveKey } from '../format/sealing.ts';
import { readCustomKey, readPassword, readRecoveryCode, type Secret } from '../format/secret.ts';
import type { Findings } from './findings.ts';
import { isVouchedFor } from './keyring-proof.ts';
import { quietly } from './quietly.ts';

/** The slot key that a secret gives for a slot; undefined where it gives none. */
export type SlotKeyOf = (slot: Slot) => Buffer | undefined;

/** The keyrings of one archive, newest first. */
export type ArchiveKeyrings = { readonly archiveId: Buffer; readonly keyrings: readonly Keyring[] };

/** What a secret makes of the keyrings of one archive after the other. */
export type SlotSecret = (archive: ArchiveKeyrings, findings: Findings) => SlotKeyOf;

/** Any secret but a key file, which opens no slot. */
export type SlotSecretText = Exclude<Secret, { readonly keyFile: string }>;

const labels: Readonly<Record<number, string>> = {
  [slotKinds.recoveryCode]: 'holdfast v1 recovery slot',
  [slotKinds.password]: 'holdfast v1 password slot',
  [slotKinds.customKey]: 'holdfast v1 custom key slot',
};

/** Costs worked out for one archive, and for all whose headers lie in the folder: what is beyond was forged. */
const mostCosts = { ofArchive: 16, ofAll: 64 } as const;

/**
 * Takes a secret that opens slots.
 *
 * @throws secret.invalid
 */
export function takeSlotSecret(secret: SlotSecretText): SlotSecret {
  if ('password' in secret) return passwordSecret(readPassword(secret.password));
  if ('customKey' in secret) return fixedSecret(slotKinds.customKey, readCustomKey(secret.customKey));
  return fixedSecret(slotKinds.recoveryCode, readRecoveryCode(secret.recoveryCode));
}

function fixedSecret(kind: number, bytes: Buffer): SlotSecret {
  return ({ archiveId }) =>
    (slot) =>
      slot.kind === kind ? slotKey(bytes, archiveId, slot) : undefined;
}

function slotKey(secret: Buffer, archiveId: Buffer, slot: Slot): Buffer {
  return deriveKey(secret, Buffer.concat([archiveId, slot.slotId]), labels[slot.kind]!);
}

/** Each salt and cost is worked out once, and only so many: those of keyrings that nobody could forge come first. */
function passwordSecret(password: Buffer): SlotSecret {
  let left: number = mostCosts.ofAll;
  return ({ archiveId, keyrings }, findings) => {
    const costs = costsOf(keyrings, findings);
    const first = keyrings.filter((keyring) => isVouchedFor(keyring, archiveId));
    const names = new Set(
      [...first, ...keyrings].flatMap(({ slots }) => slots.flatMap((slot) => costs.get(slot)?.name ?? [])),
    );
    const tried = new Set([...names].slice(0, Math.min(mostCosts.ofArchive, left)));
    left -= tried.size;
    if (tried.size < names.size) {
      const message = `${names.size - tried.size} password slots were not tried: there are more than an archive has`;
      findings.add({ severity: 'notice', code: 'slot.not_tried', message });
    }
    const workedOut = new Map<string, Buffer | undefined>();
    return (slot) => {
      const cost = costs.get(slot);
      if (cost === undefined || !tried.has(cost.name)) return undefined;
      if (!workedOut.has(cost.name)) workedOut.set(cost.name, tryToWorkOut(password, cost, findings));
      const secret = workedOut.get(cost.name);
      return secret && slotKey(secret, archiveId, slot);
    };
  };
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
