import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRecordSync, parseKeyring, parseRing, splitRecord } from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import {
  hpkeKeyId,
  importHpkeKey,
  openCustomKeySlot,
  openEscrowInner,
  openEscrowOuter,
  openSlot,
  openSlotWithKey,
  parseEscrowParameters,
  createPasswordOpener,
  prepareCustomKeySlot,
  preparePasswordSlot,
  type Slot,
  type SlotPlace,
} from '@holdfast/trust';
import { makeArchive, withNewWriter, withRecoveryCode } from './archive-keyring.ts';
import { slotLives, withChangedSlots, withOwnKey, withStandardKeys } from './change-slots.ts';
import { type EscrowFacts, escrowChange, judgeEscrow } from './escrow-policy.ts';
import type { StoredKeys } from './key-store.ts';

const ports = { clock: systemClock, random: systemRandom };
const cheap = { memoryKibibytes: 19_456, passes: 1, lanes: 1 };
let used = 100;
const withOrdinal = () => ({ ...ports, ordinal: ++used });

function newEscrow() {
  const [log, keystore] = [importHpkeKey(systemRandom(32)), importHpkeKey(systemRandom(32))];
  return { log, keystore, keys: { logKey: log.publicKey, keystoreKey: keystore.publicKey } };
}
type Escrow = ReturnType<typeof newEscrow>;

type RingKey = (slot: Slot, place: SlotPlace) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

const byCode =
  (code: Uint8Array): RingKey =>
  (slot, place) =>
    openSlot(slot, place, code);
const byCustomKey =
  (key: Uint8Array): RingKey =>
  (slot, place) =>
    openCustomKeySlot(slot, place, key);
const byPassword = (password: string): RingKey => createPasswordOpener(password).open;
const byEscrow =
  ({ log, keystore }: Escrow): RingKey =>
  (slot, place) => {
    const isOurs = slot.kind === 2 && !Buffer.compare(parseEscrowParameters(slot).outerKeyId, hpkeKeyId(log.publicKey));
    if (!isOurs) return undefined;
    const inner = openEscrowOuter(slot, place.archiveId, log);
    return openSlotWithKey(slot, place, openEscrowInner(slot, place.archiveId, inner, keystore));
  };

/** The newest epoch that a secret opens, by any keyring that is there; undefined where it opens none. */
async function opens({ keys, keyRecords }: StoredKeys, by: RingKey): Promise<number | undefined> {
  let newest: number | undefined;
  for (const record of keyRecords.slice(1)) {
    const { number, slots } = parseKeyring(splitRecord(record).open);
    for (const slot of slots) {
      const ringKey = await by(slot, { archiveId: keys.archiveId, keyringNumber: number });
      if (!ringKey) continue;
      const raw = openRecordSync(record, { archiveId: keys.archiveId, ring: new Map(), ringKey }).raw;
      newest = Math.max(newest ?? 0, ...parseRing(raw).epochs.map((epoch) => epoch.number));
    }
  }
  return newest;
}

const newestEpoch = ({ keys }: StoredKeys) => keys.ring.epochs.at(-1)!.number;
const kindsOf = (stored: StoredKeys) => slotLives(stored).flatMap(({ kind, isCurrent }) => (isCurrent ? [kind] : []));

async function passwordSlot(stored: StoredKeys, password: string) {
  return preparePasswordSlot(stored.keys.archiveId, password, systemRandom, cheap);
}

test('an archive begins with the escrow that is asked for, and its keystore opens it together with the log', async () => {
  const escrow = newEscrow();
  const stored = makeArchive(ports, undefined, escrow.keys);
  assert.deepEqual(kindsOf(stored), ['escrow']);
  assert.equal(await opens(stored, byEscrow(escrow)), 0);
  assert.deepEqual(kindsOf(makeArchive(ports)), []);
  const later = withNewWriter(stored, { headNumber: 3, origin: 'state_lost' }, ports);
  assert.equal(await opens(later, byEscrow(escrow)), 0);
});

test('an own key strikes escrow and the own key before it, keeps the recovery code, and begins an epoch', async () => {
  const escrow = newEscrow();
  const code = systemRandom(32);
  const before = makeArchive(ports, code, escrow.keys);
  const slot = await passwordSlot(before, 'the first password');
  const first = withOwnKey(before, { choice: 'password', slot, keepsEscrow: false }, withOrdinal());
  assert.deepEqual([first.choice, newestEpoch(first)], ['password', 1]);
  assert.deepEqual(kindsOf(first), ['recovery_code', 'password']);
  assert.equal(await opens(first, byPassword('the first password')), 1);
  assert.equal(await opens(first, byCode(code)), 1);
  assert.equal(await opens(first, byEscrow(escrow)), 0, 'what was written before, it still opens');
  const key = systemRandom(32);
  const custom = prepareCustomKeySlot(before.keys.archiveId, key, systemRandom);
  const second = withOwnKey(first, { choice: 'custom', slot: custom, keepsEscrow: false }, withOrdinal());
  assert.deepEqual([second.choice, newestEpoch(second)], ['custom', 2]);
  assert.deepEqual(kindsOf(second), ['recovery_code', 'custom_key']);
  assert.equal(await opens(second, byPassword('the first password')), 1);
  assert.equal(await opens(second, byCustomKey(key)), 2);
  const third = withRecoveryCode(second, systemRandom(32), withOrdinal());
  assert.equal(third.choice, 'custom', 'a new code changes nothing about the choice');
  assert.deepEqual(
    [await opens(third, byCode(code)), await opens(third, byCustomKey(key)), newestEpoch(third)],
    [2, 3, 3],
  );
});

test('an own key beside escrow is one more way in, and no choice against it', async () => {
  const escrow = newEscrow();
  const before = makeArchive(ports, undefined, escrow.keys);
  const slot = await passwordSlot(before, 'beside the escrow');
  const both = withOwnKey(before, { choice: 'password', slot, keepsEscrow: true }, withOrdinal());
  assert.equal(both.choice, undefined);
  assert.deepEqual(kindsOf(both), ['escrow', 'password']);
  assert.deepEqual([await opens(both, byEscrow(escrow)), await opens(both, byPassword('beside the escrow'))], [1, 1]);
  const standard = withStandardKeys(both, undefined, withOrdinal());
  assert.deepEqual([kindsOf(standard), newestEpoch(standard)], [['escrow'], 2]);
  assert.equal(await opens(standard, byPassword('beside the escrow')), 1);
});

test('which slots there were, what each opens and until when, is said without a secret', async () => {
  let atMs = 1_780_000_000_000;
  const clock = { ...systemClock, now: () => atMs };
  const escrow = newEscrow();
  const before = makeArchive({ ...ports, clock }, systemRandom(32), escrow.keys);
  const slot = await passwordSlot(before, 'the first password');
  atMs += 60_000;
  const after = withOwnKey(before, { choice: 'password', slot, keepsEscrow: false }, { ...withOrdinal(), clock });
  const lives = slotLives(after);
  const shown = lives.map(({ slotId: _slotId, ...life }) => life);
  const [began, changed] = [after.keys.ring.epochs[0]!, after.keys.ring.epochs[1]!].map(
    ({ madeAt }) => madeAt!.seconds * 1000,
  );
  assert.deepEqual(shown, [
    { kind: 'recovery_code', firstKeyring: 1, lastKeyring: 2, isCurrent: true, newestEpoch: 1, madeAtMs: began },
    {
      kind: 'escrow',
      firstKeyring: 1,
      lastKeyring: 1,
      isCurrent: false,
      newestEpoch: 0,
      madeAtMs: began,
      closedFromMs: changed,
    },
    { kind: 'password', firstKeyring: 2, lastKeyring: 2, isCurrent: true, newestEpoch: 1, madeAtMs: changed },
  ]);
  assert.ok(changed! > began!);
  assert.ok(lives.every(({ slotId }) => /^[0-9a-f]{32}$/.test(slotId)));
});

/** Goes on with what the policy asks for until nothing is left to be done; says the standing then. */
function settled(stored: StoredKeys, facts: EscrowFacts): StoredKeys {
  for (let steps = 0; steps < 3; steps++) {
    const change = escrowChange(stored, facts, systemRandom);
    if (!change) return stored;
    stored = withChangedSlots(stored, change, withOrdinal());
  }
  throw new Error('the policy is never content');
}

test('escrow comes and goes as the policy asks, and never leaves an archive that only its computer opens', async () => {
  const escrow = newEscrow();
  const facts = (setting: EscrowFacts['setting']) => ({ keys: escrow.keys, setting, areKeysLogged: true });
  const bare = makeArchive(ports);
  for (const setting of ['required', 'always'] as const) {
    assert.equal(judgeEscrow(bare, facts(setting)), 'to_add');
    const added = settled(bare, facts(setting));
    assert.equal(judgeEscrow(added, facts(setting)), 'in_place');
    assert.deepEqual([await opens(added, byEscrow(escrow)), newestEpoch(added)], [0, 0]);
    assert.equal(judgeEscrow(added, facts('off')), 'kept');
    assert.equal(settled(added, facts('off')), added);
    const code = systemRandom(32);
    const withCode = withRecoveryCode(added, code, withOrdinal());
    const struck = settled(withCode, facts('off'));
    assert.equal(judgeEscrow(struck, facts('off')), 'off');
    assert.deepEqual(kindsOf(struck), ['recovery_code']);
    assert.deepEqual([await opens(struck, byEscrow(escrow)), await opens(struck, byCode(code))], [0, 1]);
    const again = settled(struck, facts(setting));
    assert.equal(await opens(again, byEscrow(escrow)), 1, 'with a new slot it opens the past, too');
  }
  assert.equal(judgeEscrow(bare, facts('off')), 'off');
  assert.equal(judgeEscrow(bare, facts(undefined)), 'not_heard');
  assert.equal(judgeEscrow(bare, { keys: undefined, setting: 'required', areKeysLogged: true }), 'no_keys');
});

test('escrow for other keys than those that were pinned is replaced', async () => {
  const [old, now] = [newEscrow(), newEscrow()];
  const before = makeArchive(ports, undefined, old.keys);
  const facts = { keys: now.keys, setting: 'required', areKeysLogged: true } as const;
  assert.equal(judgeEscrow(before, facts), 'to_replace');
  const after = settled(before, facts);
  assert.deepEqual(kindsOf(after), ['escrow']);
  assert.deepEqual([await opens(after, byEscrow(now)), newestEpoch(after)], [1, 1]);
  assert.equal(judgeEscrow(after, facts), 'in_place');
});

test('no setting adds escrow to an archive whose user chose an own key, and every setting does where none was chosen', async () => {
  const escrow = newEscrow();
  for (const setting of ['required', 'always'] as const) {
    const facts = { keys: escrow.keys, setting, areKeysLogged: true };
    for (const choice of ['password', 'custom'] as const) {
      const before = makeArchive(ports, undefined, escrow.keys);
      const slot = prepareCustomKeySlot(before.keys.archiveId, systemRandom(32), systemRandom);
      const chosen = withOwnKey(before, { choice, slot, keepsEscrow: false }, withOrdinal());
      assert.equal(judgeEscrow(chosen, facts), 'kept_off');
      assert.equal(settled(chosen, facts), chosen);
      assert.equal(judgeEscrow(chosen, { ...facts, setting: 'off' }), 'off');
      const standard = settled(withStandardKeys(chosen, undefined, withOrdinal()), facts);
      assert.deepEqual(kindsOf(standard), ['escrow']);
      assert.equal(await opens(standard, byEscrow(escrow)), newestEpoch(standard));
    }
  }
});
