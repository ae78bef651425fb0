import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCustomKeySlot, parseCustomKey } from './custom-key-slot.ts';
import { openEscrowInner, openEscrowOuter } from './escrow-slot.ts';
import { importHpkeKey } from './hpke.ts';
import { createPasswordOpener } from './password-slot.ts';
import { parseRecoveryCode } from './recovery-code.ts';
import { openSlot, openSlotWithKey, type Slot } from './slots.ts';

type Expected = {
  readonly archiveId: string;
  readonly keyring: number;
  readonly recoveryCode: string;
  readonly secrets: {
    readonly passwords: readonly { readonly password: string; readonly keyring: number }[];
    readonly customKey: string;
    readonly escrow: { readonly logKey: string; readonly keystoreKey: string };
  };
  readonly slots: readonly (Readonly<Record<'slotId' | 'commitment' | 'wrappedRingKey' | 'slotKey', string>> & {
    readonly kind: number;
    readonly parameters?: string;
  })[];
};

/** Made from the format document by code that shares nothing with this package, HPKE included. */
const file = join(import.meta.dirname, '../../archive/testdata/v1-draft/slots/expected.json');
const { keyring, recoveryCode, secrets, ...expected } = JSON.parse(readFileSync(file, 'utf8')) as Expected;
const archiveId = Uint8Array.fromHex(expected.archiveId);
const place = { archiveId, keyringNumber: keyring };

function slotOf(kind: number): { readonly slot: Slot; readonly slotKey: Uint8Array } {
  const { slotId, commitment, wrappedRingKey, parameters, slotKey } = expected.slots.find((one) => one.kind === kind)!;
  const slot = {
    kind,
    slotId: Uint8Array.fromHex(slotId),
    commitment: Uint8Array.fromHex(commitment),
    wrappedRingKey: Uint8Array.fromHex(wrappedRingKey),
    ...(parameters !== undefined && { parameters: Uint8Array.fromHex(parameters) }),
  };
  return { slot, slotKey: Uint8Array.fromHex(slotKey) };
}

test('each slot of the golden archive opens with its secret, and all give the one ring key', async () => {
  const escrow = slotOf(2).slot;
  const [logKey, keystoreKey] = [secrets.escrow.logKey, secrets.escrow.keystoreKey].map((key) =>
    importHpkeKey(Uint8Array.fromHex(key)),
  );
  const inner = openEscrowOuter(escrow, archiveId, logKey!);
  const escrowed = openEscrowInner(escrow, archiveId, inner, keystoreKey!);
  const opened = [
    openSlot(slotOf(1).slot, place, parseRecoveryCode(recoveryCode)),
    openSlotWithKey(escrow, place, escrowed),
    await createPasswordOpener(secrets.passwords[0]!.password).open(slotOf(3).slot, place),
    openCustomKeySlot(slotOf(4).slot, place, parseCustomKey(secrets.customKey)),
  ];
  const ringKey = opened[0];
  assert.equal(ringKey?.length, 32);
  for (const [index, one] of opened.entries()) {
    assert.deepEqual(one, ringKey);
    const { slot, slotKey } = slotOf(index + 1);
    assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
  }
});

test('a password that was changed does not open the slot of the new one', async () => {
  const [current, old] = secrets.passwords;
  assert.equal(await createPasswordOpener(old!.password).open(slotOf(3).slot, place), undefined);
  assert.ok(await createPasswordOpener(current!.password.normalize('NFD')).open(slotOf(3).slot, place));
});
