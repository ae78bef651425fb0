import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ordinalOf, parseKeyring, sealKeyring, splitRecord } from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import {
  customKeySlotKind,
  importHpkeKey,
  openCustomKeySlot,
  openSlot,
  openSlotWithKey,
  prepareCustomKeySlot,
  prepareEscrowSlot,
  recoverySlotKind,
  rewrapSlot,
  type Slot,
  type SlotPlace,
  wrapSlot,
} from '@holdfast/trust';
import fc from 'fast-check';
import { makeArchive, withNewWriter, withRecoveryCode, writersOf } from './archive-keyring.ts';
import type { StoredKeys } from './key-store.ts';

const ports = { clock: systemClock, random: systemRandom };
const publicKey = () => importHpkeKey(systemRandom(32)).publicKey;
const escrowKeys = () => ({ logKey: publicKey(), keystoreKey: publicKey() });

/** One keyring of a history, with the secrets of its slots. */
type Life = { readonly stored: StoredKeys; readonly secrets: readonly Uint8Array[]; readonly isStrike: boolean };

const slotsOf = (stored: StoredKeys) => parseKeyring(splitRecord(stored.keyRecords.at(-1)!).open).slots;
const placeOf = ({ keys }: StoredKeys): SlotPlace => ({
  archiveId: keys.archiveId,
  keyringNumber: keys.keyring.number,
});

/** The ring key of the newest keyring, by a secret or a slot key; undefined where it opens no slot. */
function ringKeyBy(stored: StoredKeys, bytes: Uint8Array): Uint8Array | undefined {
  const place = placeOf(stored);
  const by = (slot: Slot) =>
    openSlot(slot, place, bytes) ?? openCustomKeySlot(slot, place, bytes) ?? openSlotWithKey(slot, place, bytes);
  return slotsOf(stored).reduce<Uint8Array | undefined>((found, slot) => found ?? by(slot), undefined);
}

/** The next keyring: the slots that are kept, and what is added. */
function next(stored: StoredKeys, kept: readonly Slot[], added?: ReturnType<typeof prepareEscrowSlot>): StoredKeys {
  const beginsEpoch = kept.length < slotsOf(stored).length;
  const { keys, record } = sealKeyring(stored.keys, {
    ...ports,
    ordinal: ordinalOf(stored.keys.writerNumber, 1_000 + stored.keys.keyring.number),
    writers: writersOf(stored),
    beginsEpoch,
    wrapSlots: (place, ringKey) => [
      ...kept.map((slot) => {
        const { publicKey } = stored.keys.ring.slotKeys.find(({ slotId }) => !Buffer.compare(slotId, slot.slotId))!;
        return { slot: rewrapSlot(slot, place, { ringKey, publicKey }, systemRandom), publicKey };
      }),
      ...(added ? [wrapSlot(added, place, ringKey, systemRandom)] : []),
    ],
  });
  return { ...stored, keys, keyRecords: [...stored.keyRecords, record] };
}

const steps: Readonly<Record<string, (life: Life) => Life>> = {
  'a new recovery code': ({ stored, secrets }) => {
    const secret = systemRandom(32);
    const isStrike = slotsOf(stored).some(({ kind }) => kind === recoverySlotKind);
    const ordinal = ordinalOf(stored.keys.writerNumber, 1_000 + stored.keys.keyring.number);
    return { stored: withRecoveryCode(stored, secret, { ...ports, ordinal }), secrets: [...secrets, secret], isStrike };
  },
  'a custom key more': ({ stored, secrets }) => {
    const key = systemRandom(32);
    const added = prepareCustomKeySlot(stored.keys.archiveId, key, systemRandom);
    return { stored: next(stored, slotsOf(stored), added), secrets: [...secrets, key], isStrike: false };
  },
  'escrow more': ({ stored, secrets }) => {
    const added = prepareEscrowSlot(
      stored.keys.archiveId,
      { logKey: publicKey(), keystoreKey: publicKey() },
      systemRandom,
    );
    return { stored: next(stored, slotsOf(stored), added), secrets, isStrike: false };
  },
  'custom keys struck': ({ stored, secrets }) => {
    const kept = slotsOf(stored).filter(({ kind }) => kind !== customKeySlotKind);
    return { stored: next(stored, kept), secrets, isStrike: kept.length < slotsOf(stored).length };
  },
  'a new writer': ({ stored, secrets }) => {
    const headNumber = 10 * stored.keys.keyring.number;
    return { stored: withNewWriter(stored, { headNumber, origin: 'state_lost' }, ports), secrets, isStrike: false };
  },
};

/** Whatever bytes a ring holds, in whatever field, at every place in them where a key could begin. */
function keysIn(value: unknown): readonly Uint8Array[] {
  if (value instanceof Uint8Array)
    return Array.from({ length: Math.max(0, value.length - 31) }, (_, at) => value.slice(at, at + 32));
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(keysIn) : [];
}

test('nothing in a ring opens another keyring, and what comes after a strike is sealed with a key that no older ring has', () => {
  const names = fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 3, maxLength: 8 });
  fc.assert(
    fc.property(names, (history) => {
      const code = systemRandom(32);
      const lives: Life[] = [{ stored: makeArchive(ports, code), secrets: [code], isStrike: false }];
      for (const [index, name] of history.entries()) lives.push(steps[name]!(lives[index]!));
      const ringKeys = lives.map(({ stored, secrets }) =>
        secrets.reduce<Uint8Array | undefined>((found, secret) => found ?? ringKeyBy(stored, secret), undefined),
      );
      for (const [index, { stored }] of lives.entries()) {
        const held = [...keysIn(stored.keys.ring), ...(ringKeys[index] ? [ringKeys[index]] : [])];
        assert.ok(held.length >= 2);
        for (const [other, later] of lives.entries()) {
          if (other === index) continue;
          for (const bytes of held) {
            assert.equal(ringKeyBy(later.stored, bytes), undefined);
            assert.notDeepEqual(bytes, ringKeys[other]);
          }
          const isStruck = lives.slice(index + 1, other + 1).some(({ isStrike }) => isStrike);
          const newest = Buffer.from(later.stored.keys.ring.epochs.at(-1)!.key);
          if (isStruck)
            assert.equal(
              held.some((bytes) => newest.equals(bytes)),
              false,
            );
        }
      }
      // And each keyring opens by the newest code, which every one of them has a slot for.
      for (const [index, { secrets }] of lives.entries())
        assert.equal(ringKeys[index]?.length, 32, `of ${secrets.length} secrets`);
    }),
    { numRuns: 30 },
  );
});

test('a slot of a kind that is not known is not carried on, and those of known kinds are', () => {
  const code = systemRandom(32);
  const before = steps['a custom key more']!({ stored: makeArchive(ports, code), secrets: [], isStrike: false });
  const slots = slotsOf(before.stored);
  const strange = { ...prepareEscrowSlot(before.stored.keys.archiveId, escrowKeys(), systemRandom) };
  const added = { ...strange, slot: { ...strange.slot, kind: 77 } };
  const withStrange = next(before.stored, slots, added);
  assert.deepEqual(
    slotsOf(withStrange).map(({ kind }) => kind),
    [1, 4, 77],
  );
  const after = withNewWriter(withStrange, { headNumber: 1, origin: 'state_lost' }, ports);
  assert.deepEqual(
    slotsOf(after).map(({ kind }) => kind),
    [1, 4],
  );
  for (const secret of [code, ...before.secrets]) assert.equal(ringKeyBy(after, secret)?.length, 32);
});
