import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@holdfast/base';
import { signKeyVouch, type KeyLogFact } from '@holdfast/trust';
import { countApprovers } from './judge-approvals.ts';
import {
  approvesFromMs,
  expectTrusted,
  KEY_WAIT_MS,
  registerKey,
  type KeyLeaf,
  type RegisteredKey,
} from './key-register.ts';
import { approver, leafOf, makeParty, nowMs, registered, tenant, type Party } from './release-scene.fixture.ts';

const { tenantUid } = tenant;
const [device, person, other] = [makeParty('device'), makeParty('person'), makeParty('person')];
const known = [registered(device), approver(person)];

const take = (keys: readonly RegisteredKey[], fact: KeyLogFact<KeyLeaf>, atMs = nowMs) =>
  registerKey(keys, leafOf(fact) as KeyLeaf, { tenantUid, nowMs: atMs });
const ofDevice = ({ holder, publicKey }: Party) =>
  ({ kind: 'key_registered', deviceUid: holder.uid, publicKey }) as const;
const ofPerson = ({ holder, publicKey }: Party, mayApprove: boolean) =>
  ({ kind: 'person_key_registered', userUid: holder.uid, publicKey, mayApprove }) as const;
const endOf = ({ holder, publicKey }: Party) =>
  holder.kind === 'device'
    ? ({ kind: 'key_ended', deviceUid: holder.uid, publicKey, archiveId: null } as const)
    : ({ kind: 'person_key_ended', userUid: holder.uid, publicKey } as const);
const vouchOf = (newer: Party, older: Party, by = older) => {
  const { holder, publicKey } = newer;
  const signature = signKeyVouch({ tenantUid, holder, publicKey }, by.sign);
  return { kind: 'key_vouched', holder, publicKey, by: older.holder, byKey: older.publicKey, signature } as const;
};

test('the first key of a tenant counts at once, every later one after a day', () => {
  const first = take([], ofPerson(person, true));
  assert.equal(expectTrusted([first], person.publicKey, nowMs), first);
  assert.equal(approvesFromMs(first), nowMs);
  const next = take([first], ofPerson(other, true));
  const keys = [first, next];
  for (const ms of [0, KEY_WAIT_MS - 1])
    assert.throws(() => expectTrusted(keys, other.publicKey, nowMs + ms), { code: 'keystore.young_key' });
  assert.equal(expectTrusted(keys, other.publicKey, nowMs + KEY_WAIT_MS), next);
  assert.equal(approvesFromMs(next), nowMs + KEY_WAIT_MS);
  assert.equal(take([], ofDevice(device)).isTrustedAtOnce, true);
  assert.equal(approvesFromMs(take([], ofDevice(device))), undefined);
});

test('a key that an older one vouches for asks at once, and approves no sooner', () => {
  const [newDevice, newPerson] = [makeParty('device'), makeParty('person')];
  const keys = [...known, take(known, ofDevice(newDevice)), take(known, ofPerson(newPerson, true))];
  for (const [newer, older] of [
    [newDevice, device],
    [newDevice, person],
    [newPerson, person],
  ] as const) {
    const vouched = take(keys, vouchOf(newer, older));
    assert.equal(expectTrusted([vouched], newer.publicKey, nowMs), vouched);
    assert.equal(countApprovers([vouched], nowMs), 0);
  }
  const young = makeParty('device');
  const refused: readonly (readonly [code: string, fact: KeyLogFact<KeyLeaf>])[] = [
    ['not_vouched', vouchOf(newPerson, device)],
    ['not_vouched', vouchOf(newDevice, device, person)],
    ['not_vouched', { ...vouchOf(newDevice, device), holder: { kind: 'device', uid: newId() } }],
    ['not_vouched', { ...vouchOf(newDevice, device), by: person.holder }],
    ['not_vouched', vouchOf(device, device)],
    ['young_key', vouchOf(newDevice, newPerson)],
    ['unregistered_key', vouchOf(newDevice, young)],
    ['unregistered_key', vouchOf(young, device)],
  ];
  for (const [code, fact] of refused) assert.throws(() => take(keys, fact), { code: `keystore.${code}` });
  const ended = keys.map((key) => (key.publicKey === device.publicKey ? { ...key, endedMs: nowMs } : key));
  assert.throws(() => take(ended, vouchOf(newDevice, device)), { code: 'keystore.ended_key' });
});

test('a vouch for another tenant is none', () => {
  const newer = makeParty('device');
  const keys = [...known, take(known, ofDevice(newer))];
  const { holder, publicKey } = newer;
  const foreign = signKeyVouch({ tenantUid: newId(), holder, publicKey }, device.sign);
  assert.throws(() => take(keys, { ...vouchOf(newer, device), signature: foreign }), { code: 'keystore.not_vouched' });
  assert.equal(take(keys, vouchOf(newer, device)).isTrustedAtOnce, true);
});

test('what ended stays so in whatever order leaves come, and a key is of one holder', () => {
  for (const [party, registers] of [
    [makeParty('device'), ofDevice],
    [makeParty('person'), (one: Party) => ofPerson(one, true)],
  ] as const) {
    const added = take(known, registers(party));
    const ended = take([...known, added], endOf(party), nowMs + 5);
    assert.equal(ended.endedMs, nowMs + 5);
    assert.equal(take([ended], endOf(party), nowMs + 9).endedMs, nowMs + 5);
    const endedFirst = take(known, endOf(party));
    assert.equal(endedFirst.endedMs, nowMs);
    for (const key of [ended, endedFirst]) {
      assert.throws(() => take([key], registers(party)), { code: 'keystore.key_known' });
      assert.throws(() => expectTrusted([key], party.publicKey, nowMs + 2 * KEY_WAIT_MS), {
        code: 'keystore.ended_key',
      });
      assert.equal(approvesFromMs(key), undefined);
    }
    const renamed: Party = { ...party, holder: { ...party.holder, uid: newId() } };
    assert.throws(() => take([added], registers(renamed)), { code: 'keystore.key_known' });
    assert.throws(() => take([added], endOf(renamed)), { code: 'keystore.key_known' });
    assert.deepEqual(take([added], registers(party), nowMs + 77), added);
  }
  const asPerson = { ...device, holder: { kind: 'person', uid: device.holder.uid } } as const;
  assert.throws(() => take(known, ofPerson(asPerson, true)), { code: 'keystore.key_known' });
});

test('who may approve since today, though the key is old, waits a day; taking it away counts at once, and giving it back waits anew', () => {
  const old = registered(other);
  const given = take([...known, old], ofPerson(other, true));
  assert.equal(approvesFromMs(given), nowMs + KEY_WAIT_MS);
  assert.equal(expectTrusted([given], other.publicKey, nowMs), given);
  const again = take([given], ofPerson(other, true), nowMs + 5);
  assert.equal(approvesFromMs(again), nowMs + KEY_WAIT_MS, 'said twice, it begins once');
  const taken = take([given], ofPerson(other, false), nowMs + 2 * KEY_WAIT_MS);
  assert.equal(approvesFromMs(taken), undefined);
  const back = take([taken], ofPerson(other, true), nowMs + 2 * KEY_WAIT_MS);
  assert.equal(approvesFromMs(back), nowMs + 3 * KEY_WAIT_MS);
});
