import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KeyringSlot, ordinalOf, sealKeyring } from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import {
  importHpkeKey,
  makeRecoverySlot,
  openSlot,
  prepareCustomKeySlot,
  prepareEscrowSlot,
  rewrapSlot,
} from '@holdfast/trust';
import {
  hasRecoverySlot,
  makeArchive,
  newestKeyring,
  withForeignKeyrings,
  withNewWriter,
  withRecoveryCode,
  writersOf,
} from './archive-keyring.ts';
import { slotLives, withChangedSlots, withOwnKey } from './change-slots.ts';
import { escrowChange, judgeEscrow } from './escrow-policy.ts';
import type { StoredKeys } from './key-store.ts';

const ports = { clock: systemClock, random: systemRandom };
let used = 100;
const withOrdinal = () => ({ ...ports, ordinal: ++used });
const publicKey = () => importHpkeKey(systemRandom(32)).publicKey;
const escrowKeys = { logKey: publicKey(), keystoreKey: publicKey() };
const facts = { keys: escrowKeys, setting: 'required', areKeysLogged: true } as const;
const kindsOf = (stored: StoredKeys) => slotLives(stored).flatMap(({ kind, isCurrent }) => (isCurrent ? [kind] : []));

type Slot = KeyringSlot & { kind: 1 | 2 | 3 | 4 };

/** The next keyring, signed with the stolen keys: its slots are what the thief makes of ours, and what is added. */
function forged(
  stolen: StoredKeys,
  change: (slots: readonly Slot[]) => readonly Slot[],
  { epoch = 0, added = [] }: { epoch?: -1 | 0 | 1; added?: readonly (typeof withoutAny)[] } = {},
): Uint8Array {
  const ours = newestKeyring(stolen).slots as readonly Slot[];
  const epochs = epoch === -1 ? stolen.keys.ring.epochs.slice(0, -1) : stolen.keys.ring.epochs;
  const keys = { ...stolen.keys, ring: { ...stolen.keys.ring, epochs } };
  const { record } = sealKeyring(keys, {
    ...ports,
    ordinal: ordinalOf(keys.writerNumber, ++used),
    writers: writersOf(stolen),
    beginsEpoch: epoch === 1,
    wrapSlots: (place, ringKey) =>
      [...change(ours), ...added.map((add) => add(place, ringKey))].map((slot) => ({
        // Rubbish for whoever the slot is of: only its owner could tell.
        slot: rewrapSlot(slot, place, { ringKey, publicKey: publicKey() }, systemRandom),
        publicKey: publicKey(),
      })),
  });
  return record;
}

type Place = Parameters<typeof makeRecoverySlot>[0];
const withoutAny = (place: Place, ringKey: Uint8Array): Slot =>
  makeRecoverySlot(place, ringKey, systemRandom(32), systemRandom).slot as Slot;

const other = (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1);

test("a keyring with this computer's key that lacks a slot of ours, or has it otherwise, is not gone on behind", () => {
  const code = systemRandom(32);
  const key = systemRandom(32);
  const first = makeArchive(ports, code, escrowKeys);
  const own = prepareCustomKeySlot(first.keys.archiveId, key, systemRandom);
  const before = withOwnKey(first, { choice: 'custom', slot: own, keepsEscrow: true }, withOrdinal());
  assert.deepEqual(kindsOf(before), ['recovery_code', 'escrow', 'custom_key']);
  const take = (record: Uint8Array) => withForeignKeyrings(before, [record]).keys.keyring.number;
  const { number } = before.keys.keyring;
  const bogus = prepareEscrowSlot(before.keys.archiveId, escrowKeys, systemRandom).slot as Slot;
  const left: Readonly<Record<string, (slots: readonly Slot[]) => readonly Slot[]>> = {
    'no slot': () => [],
    'no slot but its own': () => [bogus],
    'without the recovery code': (slots) => slots.slice(1),
    'without escrow': (slots) => slots.toSpliced(1, 1),
    'with escrow of its own': (slots) => slots.toSpliced(1, 1, bogus),
    'without the custom key': (slots) => slots.slice(0, -1),
    'another commitment': (slots) => slots.map((slot) => ({ ...slot, commitment: other(slot.commitment) })),
    'another kind': ([slot, ...slots]) => [{ ...slot!, kind: 4 }, ...slots],
    'other parameters': ([code, escrow, ...slots]) => [code!, { ...escrow!, parameters: bogus.parameters! }, ...slots],
    'a slot twice': ([slot, ...slots]) => [slot!, { ...slot!, commitment: other(slot!.commitment) }, ...slots],
  };
  for (const [what, change] of Object.entries(left)) assert.equal(take(forged(before, change)), number, what);
  const as = (slots: readonly Slot[]) => slots;
  for (const epoch of [-1, 1] as const) assert.equal(take(forged(before, as, { epoch })), number, `${epoch} epoch`);
  // What a genuine other life makes is gone on behind.
  assert.equal(take(forged(before, as)), number + 1);
  assert.equal(take(forged(before, (slots) => [...slots, bogus])), number + 1);
  assert.equal(
    take(withNewWriter(before, { headNumber: 3, origin: 'state_lost' }, ports).keyRecords.at(-1)!),
    number + 1,
  );
});

test('escrow that another life put there is no escrow of ours, whatever it says', () => {
  const code = systemRandom(32);
  const before = makeArchive(ports, code);
  const bogus = prepareEscrowSlot(before.keys.archiveId, escrowKeys, systemRandom).slot as Slot;
  const taken = withForeignKeyrings(before, [forged(before, (slots) => [...slots, bogus])]);
  assert.deepEqual(kindsOf(taken), ['recovery_code', 'escrow']);
  assert.equal(judgeEscrow(taken, facts), 'to_replace');
  const change = escrowChange(taken, facts, systemRandom)!;
  const after = withChangedSlots(taken, change, withOrdinal());
  assert.equal(judgeEscrow(after, facts), 'in_place');
  assert.deepEqual(kindsOf(after), ['recovery_code', 'escrow']);
  const place = { archiveId: after.keys.archiveId, keyringNumber: after.keys.keyring.number };
  assert.ok(
    newestKeyring(after).slots.some((slot) => openSlot(slot, place, code)),
    'the code stays',
  );
});

test('escrow begins no epoch while that would cost a key which another life of the computer made', () => {
  const before = makeArchive(ports, undefined, { logKey: publicKey(), keystoreKey: publicKey() });
  const secret = systemRandom(32);
  const theirs = withRecoveryCode(before, secret, withOrdinal());
  const taken = withForeignKeyrings(before, theirs.keyRecords.slice(2));
  assert.equal(hasRecoverySlot(taken), true);
  const struckNow = { ...facts, setting: 'off' } as const;
  for (const asked of [facts, struckNow]) {
    assert.equal(judgeEscrow(theirs, asked), asked === facts ? 'to_replace' : 'to_strike');
    // Not by the keyring of it, nor by one after that, which has not its slot.
    const later = withNewWriter(taken, { headNumber: 3, origin: 'state_lost' }, ports);
    for (const stored of [taken, later]) {
      assert.equal(judgeEscrow(stored, asked), 'held');
      assert.equal(escrowChange(stored, asked, systemRandom), undefined);
    }
    // An act of the user's ends that, and begins the epoch.
    for (const stored of [taken, later]) {
      const after = withRecoveryCode(stored, systemRandom(32), withOrdinal());
      assert.deepEqual([after.keys.ring.epochs.length, kindsOf(after).includes('recovery_code')], [2, true]);
      assert.equal(judgeEscrow(after, asked), asked === facts ? 'to_replace' : 'to_strike');
    }
  }
});
