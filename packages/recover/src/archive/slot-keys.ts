import { describeError, RecoverError } from '../errors.ts';
import { readFields } from '../format/fields.ts';
import { type Slot, slotKinds } from '../format/keyring.ts';
import { type PasswordCost, readPasswordCost, workOut } from '../format/password-slot.ts';
import { deriveKey } from '../format/sealing.ts';
import { readCustomKey, readPassword, readRecoveryCode, type Secret } from '../format/secret.ts';
import type { Findings } from './findings.ts';
import { quietly } from './quietly.ts';
import { DEFAULT_TRIES, TryPool } from './try-pool.ts';

/** What a secret makes of the slots of one archive. */
export type SlotOpener = {
  /** Does the work that a slot asks for, if it is not done and may be; whether any was done. */
  readonly prepare: (slot: Slot) => boolean;
  /** The slot key, as far as the work for it is done; undefined where the secret gives none. */
  readonly keyFor: (slot: Slot) => Buffer | undefined;
};

/** Different password slots: worked out, too much for this machine, and left out because the pool was empty. */
export type SlotTries = { readonly workedOut: number; readonly tooCostly: number; readonly notTried: number };

/** A secret that opens slots, and how far its tries went in the whole run. */
export type SlotSecret = {
  /** For the archives in a folder, one after the other; how many are left, this one included, shares the pool out. */
  readonly openerFor: (archiveId: Buffer, archivesLeft: number, findings: Findings) => SlotOpener;
  readonly tries: () => SlotTries;
};

/** Any secret but a key file, which opens no slot. */
export type SlotSecretText = Exclude<Secret, { readonly keyFile: string } | { readonly readKeys: string }>;

const labels: Readonly<Record<number, string>> = {
  [slotKinds.recoveryCode]: 'holdfast v1 recovery slot',
  [slotKinds.password]: 'holdfast v1 password slot',
  [slotKinds.customKey]: 'holdfast v1 custom key slot',
};

/**
 * Takes a secret that opens slots.
 *
 * @throws secret.invalid, request.invalid
 */
export function takeSlotSecret(secret: SlotSecretText, passwordTries = DEFAULT_TRIES): SlotSecret {
  if ('password' in secret) return new PasswordSecret(readPassword(secret.password), TryPool.of(passwordTries));
  if ('customKey' in secret) return fixedSecret(slotKinds.customKey, readCustomKey(secret.customKey));
  return fixedSecret(slotKinds.recoveryCode, readRecoveryCode(secret.recoveryCode));
}

function fixedSecret(kind: number, bytes: Buffer): SlotSecret {
  const openerFor = (archiveId: Buffer, _archivesLeft: number, findings: Findings): SlotOpener => {
    const refused = new Set<Slot>();
    const keyFor = (slot: Slot): Buffer | undefined => {
      if (slot.kind !== kind || refused.has(slot)) return undefined;
      if (quietly(() => readFields(slot.parameters ?? Buffer.alloc(0), 'slot', {})))
        return slotKey(bytes, archiveId, slot);
      refused.add(slot);
      const message = `a slot for a ${kindNames[kind]} has parameters that no reader takes`;
      findings.add({ severity: 'notice', code: 'slot.refused', message });
      return undefined;
    };
    return { prepare: () => false, keyFor };
  };
  return { openerFor, tries: () => ({ workedOut: 0, tooCostly: 0, notTried: 0 }) };
}

function slotKey(secret: Buffer, archiveId: Buffer, slot: Slot): Buffer {
  return deriveKey(secret, Buffer.concat([archiveId, slot.slotId]), labels[slot.kind]!);
}

type NamedCost = PasswordCost & { readonly name: string };

/** One pool of tries and of memory times passes for a whole run, whatever headers and keyrings it finds (§5). */
class PasswordSecret implements SlotSecret {
  readonly #password: Buffer;
  readonly #pool: TryPool;
  readonly #tries = { workedOut: 0, tooCostly: 0, notTried: 0 };

  constructor(password: Buffer, pool: TryPool) {
    this.#password = password;
    this.#pool = pool;
  }

  openerFor(archiveId: Buffer, archivesLeft: number, findings: Findings): SlotOpener {
    // An equal part each, or forged headers would take all. What one archive leaves is there for those after it.
    const pool = this.#pool.part(archivesLeft);
    const workedOut = new Map<string, Buffer | undefined>();
    const costs = new Map<Slot, NamedCost | undefined>();
    const costOf = (slot: Slot): NamedCost | undefined => {
      if (slot.kind !== slotKinds.password) return undefined;
      if (!costs.has(slot)) costs.set(slot, readCost(slot, findings));
      return costs.get(slot);
    };
    return {
      prepare: (slot) => {
        const cost = costOf(slot);
        if (cost === undefined || workedOut.has(cost.name)) return false;
        workedOut.set(cost.name, this.#workOut(cost, pool, findings));
        return workedOut.get(cost.name) !== undefined;
      },
      keyFor: (slot) => {
        const secret = workedOut.get(costOf(slot)?.name ?? '');
        return secret && slotKey(secret, archiveId, slot);
      },
    };
  }

  tries(): SlotTries {
    return this.#tries;
  }

  /** A slot that is too much for this machine may be a forged one, beside one that is not. */
  #workOut(cost: PasswordCost, pool: TryPool, findings: Findings): Buffer | undefined {
    if (!pool.take(cost.memoryKibibytes * cost.passes)) {
      this.#tries.notTried += 1;
      const message = 'a password slot was not tried: there are more than an archive has, or they cost more';
      findings.add({ severity: 'notice', code: 'slot.not_tried', message });
      return undefined;
    }
    try {
      const secret = workOut(this.#password, cost);
      this.#tries.workedOut += 1;
      return secret;
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      this.#tries.tooCostly += 1;
      findings.add({ severity: 'notice', code: 'slot.too_costly', message: describeError(error) });
      return undefined;
    }
  }
}

/** What a password slot asks for; one that asks for what no reader gives is said. */
function readCost(slot: Slot, findings: Findings): NamedCost | undefined {
  const cost = quietly(() => readPasswordCost(slot.parameters));
  if (cost === undefined) {
    const message = 'a password slot has parameters that no reader takes';
    findings.add({ severity: 'notice', code: 'slot.refused', message });
    return undefined;
  }
  const { salt, memoryKibibytes, passes, lanes } = cost;
  return { ...cost, name: `${salt.toString('hex')} ${memoryKibibytes} ${passes} ${lanes}` };
}

const kindNames: Readonly<Record<number, string>> = {
  [slotKinds.recoveryCode]: 'recovery code',
  [slotKinds.escrow]: 'escrow, which only the keystore of its organisation opens',
  [slotKinds.password]: 'archive key password',
  [slotKinds.customKey]: 'custom key',
};

/** What there are slots for, in words: what to look for where a secret fitted none. */
export function nameSlots(kinds: readonly number[]): readonly string[] {
  const names = [...new Set(kinds)].toSorted((a, b) => a - b);
  return [...new Set(names.map((kind) => kindNames[kind] ?? 'something of a later version'))];
}
