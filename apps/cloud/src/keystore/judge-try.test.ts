import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { newId, systemRandom } from '@holdfast/base';
import { escrowTriesRoot, proveEscrowTry, type EscrowTry, type KeyLogFact } from '@holdfast/trust';
import type { LeafFacts } from './judge-leaf.ts';
import { judgeTries, proveEscrow, type SlotTry } from './judge-try.ts';
import { leafOf, makeArchive, makeScene, tenant } from './release-scene.fixture.ts';

const scene = makeScene();
const { archive, keyLog } = scene;
const keys = { inner: scene.inner(), keystoreKey: archive.keystoreKey };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const keyringSha256 = createHash('sha256').update(archive.record).digest('hex');
const own: EscrowTry = { archiveId: archive.archiveId, slotId: hex(archive.slot.slotId), keyringSha256 };
const anyTry = (): EscrowTry => ({
  archiveId: newId(),
  slotId: hex(systemRandom(16)),
  keyringSha256: hex(systemRandom(32)),
});
const tries = [anyTry(), anyTry(), own, anyTry(), anyTry()];

const added: KeyLogFact = {
  kind: 'keyring_added',
  archiveId: own.archiveId,
  keyringNumber: 3,
  keyringSha256,
  slots: [{ slotId: own.slotId, slotKind: 2 }],
};
const tried: KeyLogFact = {
  kind: 'escrow_tried',
  day: '2026-03-04',
  slots: tries.length,
  root: hex(escrowTriesRoot(tries)),
};

type TryFacts = LeafFacts & SlotTry;

const judgeTry = (facts: TryFacts) => judgeTries({ ...facts, tenant }, [facts]);

async function factsOf(fact: KeyLogFact): Promise<TryFacts> {
  const kept = keyLog.head();
  const shown = await keyLog.show(keyLog.add(leafOf(fact)), kept);
  const { archiveId } = archive.keys;
  const slot = { archiveId: new Uint8Array(archiveId), slotId: archive.slot.slotId, keyring: archive.record };
  const among = { place: 2, proof: await proveEscrowTry(tries, 2) };
  return { ...shown, ...slot, among: fact.kind === 'escrow_tried' ? among : null };
}

test('a slot that a leaf announces opens, and leads to the newest epoch', async () => {
  for (const fact of [tried, added]) {
    const facts = await factsOf(fact);
    assert.deepEqual(judgeTry(facts).head, keyLog.head());
    assert.deepEqual(proveEscrow(facts, keys), { epoch: 2 });
  }
});

test('a slot, a keyring or an archive that the leaf does not announce is not tried', async () => {
  const [run, ring] = [await factsOf(tried), await factsOf(added)];
  const stranger = makeArchive();
  const { among } = run;
  const wrong: readonly (readonly [code: string, facts: TryFacts])[] = [
    ['no_leaf', { ...run, leaf: undefined }],
    ['no_leaf', { ...run, ...(await keyLog.show(0, run.kept)) }],
    ['other_leaf', { ...run, among: null }],
    ['other_leaf', { ...run, among: { ...among!, place: 3 } }],
    ['other_leaf', { ...run, archiveId: stranger.keys.archiveId }],
    ['other_leaf', { ...run, keyring: stranger.record }],
    ['other_leaf', { ...run, slotId: stranger.slot.slotId }],
    ['other_leaf', { ...ring, archiveId: stranger.keys.archiveId }],
    ['other_leaf', { ...ring, keyring: stranger.record }],
    ['other_leaf', { ...ring, slotId: stranger.slot.slotId }],
  ];
  for (const [code, facts] of wrong) {
    assert.throws(() => judgeTry(facts), { code: `keystore.${code}` });
    for (const genuine of [run, ring]) judgeTry(genuine);
    // One that is not announced among others that are: none of them is tried.
    assert.throws(() => judgeTries({ ...run, tenant }, [run, { ...run, slotId: stranger.slot.slotId }]), {
      code: 'keystore.other_leaf',
    });
  }
  const noEscrow = { ...added, slots: [{ slotId: hex(stranger.slot.slotId), slotKind: 2 }] };
  const facts = { ...(await factsOf(noEscrow)), slotId: stranger.slot.slotId };
  judgeTry(facts);
  assert.throws(() => proveEscrow(facts, keys), { code: 'keystore.no_escrow_slot' });
});

test('a slot that has rotted says so', async () => {
  const judged = await factsOf(added);
  judgeTry(judged);
  const rotten = keys.inner.with(60, keys.inner[60]! ^ 1);
  assert.throws(() => proveEscrow(judged, { ...keys, inner: rotten }), { code: 'escrow.not_opened' });
  const damaged = archive.record.slice();
  damaged[damaged.length - 80]! ^= 1;
  assert.throws(() => proveEscrow({ ...judged, keyring: damaged }, keys), { code: 'archive.not_authentic' });
  assert.deepEqual(proveEscrow(judged, keys), { epoch: 2 });
});
