import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import test from 'node:test';

import { CodedError, defineErrors } from '@holdfast/base';
import { hkdf } from '../crypto/derive.node.ts';
import { openHpkeWeb } from '../crypto/hpke-web.ts';
import { ByteWriter, equalBytes, joinBytes } from '../format/cursor.ts';
import { encodeRing, type KeyringSlot, slotKinds } from '../format/keyring.ts';
import { type MadeRecord, newestOf } from '../testing/archive-maker.ts';
import { fixedTools } from '../testing/folder-source.ts';
import { Forger } from '../testing/forge.ts';
import { begin } from '../testing/golden-begin.ts';
import { golden, ownedDirectory } from '../testing/golden-rows.ts';
import { customKeySlot, type MadeSlot, wrapMadeSlot } from '../testing/made-slots.ts';
import { ForgedLife, knowledgeOf } from '../testing/forged-life.ts';
import { memorySource } from '../testing/memory-source.ts';
import { mostProblemsOfKind, noteProblem } from './note-problem.ts';
import { openArchive } from './open-archive.ts';
import type { OpenSlot, ReadChoice, ReadProblem } from './record-source.ts';

const { of_no_use: notTried } = defineErrors('trial', { of_no_use: ['exhausted', 'Not tried'] });
const ascii = (text: string) => new TextEncoder().encode(text);

/** An archive of one commit, and of two keyrings of its first writer; the second has a slot for a custom key. */
async function withSlot() {
  const scene = begin('rings');
  const { maker } = scene;
  const key = maker.random(32);
  const made = customKeySlot(maker, key);
  maker.slots = [...maker.slots, made];
  maker.keyring(golden(5));
  scene.directory('volume', ownedDirectory);
  await scene.commit({ time: golden(10) });
  return { scene, maker, key, made };
}

type Scene = Awaited<ReturnType<typeof withSlot>>;

/** Opens custom key slots as if each other one took a while: so many and no more are tried. */
function frugal(key: Uint8Array, mostTries: number): OpenSlot {
  const tried = new Set<string>();
  return (slot, { archiveId, keyringNumber }, effort) => {
    if (slot.kind !== slotKinds.customKey) return undefined;
    const name = slot.slotId.toHex();
    if (!tried.has(name) && (effort === 'none' || tried.size >= mostTries)) throw notTried();
    tried.add(name);
    const slotKey = hkdf(key, joinBytes(archiveId, slot.slotId), 'holdfast v1 custom key slot');
    const info = new ByteWriter().put(ascii('holdfast v1 slot')).put(archiveId).u32(keyringNumber).put(slot.slotId);
    const opening = openHpkeWeb(joinBytes(slotKey), info.written(), joinBytes(slot.wrappedRingKey));
    return opening.catch(() => undefined);
  };
}

/** Slots that no secret opens. */
const noise = ({ maker }: Scene, count: number): readonly KeyringSlot[] =>
  Array.from({ length: count }, () => ({
    slotId: maker.random(16),
    kind: slotKinds.customKey,
    commitment: maker.random(32),
    wrappedRingKey: maker.random(80),
  }));

async function open({ maker }: Scene, openSlot: OpenSlot, forged: readonly MadeRecord[] = [], choice: ReadChoice = {}) {
  const source = memorySource([...maker.records, ...forged]);
  const { head, keyring, problems } = await openArchive(source, { openSlot }, fixedTools, choice);
  return { head: head.number, keyring: keyring.number, problems: problems.map(({ problem }) => problem) };
}

test('forged keyrings with slots that cost much do not use up the tries that the genuine one needs', async () => {
  const scene = await withSlot();
  const forger = new Forger(scene.maker);
  const forged = [9, 8, 7].map((number) => forger.keyring(number, 1, undefined, { slots: noise(scene, 16) }));
  for (const tries of [1, 2, 16]) {
    const { head, keyring, problems } = await open(scene, frugal(scene.key, tries), forged);
    assert.deepEqual([head, keyring], [1, 2]);
    assert.equal(problems.filter((problem) => problem === 'a slot of a keyring does not open').length, 48);
  }
  assert.deepEqual(await open(scene, frugal(scene.key, 1)), { head: 1, keyring: 2, problems: [] });
});

test('a secret that opens nothing says of how many slots it is not known', async () => {
  const scene = await withSlot();
  const forged = [new Forger(scene.maker).keyring(9, 1, undefined, { slots: noise(scene, 20) })];
  for (const [tries, slotsNotTried] of [
    [21, 0],
    [16, 5],
    [1, 20],
  ] as const)
    await assert.rejects(open(scene, frugal(scene.maker.random(32), tries), forged), (error) => {
      assert.ok(error instanceof CodedError && error.code === 'archive.no_keyring');
      assert.equal(error.details['slotsNotTried'], slotsNotTried);
      return true;
    });
});

test('a newer keyring that nobody vouches for opens by a slot that was carried on, without further work', async () => {
  const scene = await withSlot();
  scene.maker.addWriter('recovery_code', 2, false);
  scene.maker.keyring(golden(20));
  await scene.scene.commit({ time: golden(30) });
  const { head, keyring, problems } = await open(scene, frugal(scene.key, 1));
  assert.deepEqual([head, keyring, problems.length], [2, 3, 1]);
  assert.match(problems[0]!, /was not introduced/);
});

/** A keyring that somebody makes who once opened a ring, and so has the public keys of slots: the genuine secret opens it. */
function forgeWithPublicKey({ maker }: Scene, made: MadeSlot, epochs: Scene['maker']['epochs']) {
  const ringKey = maker.random(32);
  const place = { archiveId: maker.archiveId, number: 9, ringKey };
  const slots = [wrapMadeSlot(made, place, { madeAt: golden(40), random: maker.random })];
  const ring = encodeRing({ epochs: epochs.map((epoch) => ({ ...epoch, suite: 1 })), slotKeys: [] });
  return new Forger(maker).keyring(9, 1, undefined, { slots, ringKey, ring });
}

test('a forged keyring that a genuine secret opens does not hide the epochs that its forger never had', async () => {
  const scene = await withSlot();
  const { maker, made, key } = scene;
  const before = maker.epochs.slice();
  maker.addEpoch(golden(40));
  maker.keyring(golden(41));
  scene.scene.directory('volume/below', ownedDirectory);
  await scene.scene.commit({ time: golden(50) });
  const ofOther = [{ number: 0, key: maker.random(32), madeAt: golden(0) }];
  for (const epochs of [before, ofOther, [...before, { ...newestOf(maker.epochs), key: maker.random(32) }]]) {
    const { head, keyring, problems } = await open(scene, frugal(key, 1), [forgeWithPublicKey(scene, made, epochs)]);
    assert.deepEqual([head, keyring], [2, 3]);
    assert.ok(problems.includes('keyring 9 is not of the line that counts: its writers do not count'));
  }
  assert.ok(equalBytes(before[0]!.key, maker.epochs[0]!.key));
  assert.deepEqual(await open(scene, frugal(key, 1)), { head: 2, keyring: 3, problems: [] });
});

test('slots of an ended writer, in whatever keyrings, do not use up the tries that a genuine slot needs', async () => {
  for (const isIntroduced of [true, false]) {
    const scene = await withSlot();
    const { maker, key } = scene;
    const life = ForgedLife.ofEndedWriter(maker, knowledgeOf(maker));
    life.slots = [];
    maker.addWriter(isIntroduced ? 'device_signed' : 'recovery_code', 2, isIntroduced);
    maker.addEpoch(golden(20));
    const third = maker.keyring(golden(20));
    scene.scene.directory('volume/below', ownedDirectory);
    await scene.scene.commit({ time: golden(30) });
    const [, second] = maker.records.filter(({ kind }) => kind === 'keyring');
    const forged = [
      life.keyring(3, hash('sha256', second!.bytes, 'buffer'), { more: noise(scene, 60) }),
      life.keyring(99, undefined, { more: noise(scene, 60) }),
    ];
    const records = forged.map(({ record }) => record);
    // Behind a successor by code the old device is the other side of a fork, and the rightful one is asked for.
    const choice = isIntroduced ? {} : { keyring: hash('sha256', third.bytes, 'buffer') };
    const opened = await open(scene, frugal(key, isIntroduced ? 1 : 16), records, choice);
    assert.deepEqual([opened.head, opened.keyring], [2, 3]);
    assert.equal(opened.problems.filter((problem) => /does not open/.test(problem)).length > 0, true);
    assert.equal((await open(scene, frugal(key, 1))).head, 2);
  }
});

test('problems are listed up to a bound of their kind, that there are more is said once, and others are listed still', () => {
  const problems: ReadProblem[] = [];
  const most = mostProblemsOfKind;
  for (let number = 0; number < most + 50; number += 1)
    noteProblem(problems, { problem: `number ${number} of ${'0123456789abcdef'.repeat(4)}` });
  noteProblem(problems, { problem: 'something else' });
  assert.deepEqual(
    problems.slice(most - 1).map(({ problem }) => problem.slice(0, 60)),
    [
      `number ${most - 1} of 0123456789abcdef0123456789abcdef0123456789abcdef`.slice(0, 60),
      'there are more problems than are listed: number … of …………',
      'something else',
    ].map((x) => x.slice(0, 60)),
  );
});
