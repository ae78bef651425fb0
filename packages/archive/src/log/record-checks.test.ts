import assert from 'node:assert/strict';
import test from 'node:test';

import { createSigningKey, type SigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { introductionMessage } from '../format/keyring.ts';
import { newestOf } from '../testing/archive-maker.ts';
import { begin } from '../testing/golden-begin.ts';
import { golden } from '../testing/golden-rows.ts';
import { checkRecords } from './record-checks.ts';
import { emptyLogState } from './sessions.ts';

/** An archive whose second writer has come in; then the keyring of a third one, introduced by whom it says. */
function thirdWriter(introducedBy: number | 'itself' | 'nobody') {
  const { maker } = begin('introductions');
  maker.addWriter('state_lost', 1, true);
  maker.keyring(golden(0));
  const until = maker.records.map(({ bytes }) => ({ bytes, isKnown: false }));
  maker.addWriter('state_lost', 1, false);
  const third = newestOf(maker.writers);
  const message = introductionMessage(maker.archiveId, { ...third, publicKey: third.key.publicKey });
  const key = typeof introducedBy === 'number' ? maker.writers[introducedBy]?.key : third.key;
  const introduction = key && introducedBy !== 'nobody' ? { introduction: signMessage(key, message) } : {};
  maker.writers.splice(2, 1, { ...third, ...introduction });
  const { bytes } = maker.keyring(golden(1));
  return checkRecords(emptyLogState, maker.archiveId, [...until, { bytes, isKnown: false }]);
}

test('an introduction counts when the writer before signed it; without one a writer may come in and readers say so', () => {
  for (const by of [1, 'nobody'] as const) assert.equal(thirdWriter(by).status, 'fit', String(by));
  for (const by of [0, 'itself'] as const) {
    const verdict = thirdWriter(by);
    const fact = verdict.status === 'refused' ? verdict.fact : undefined;
    assert.equal(fact, 'the introduction of the new writer is not signed by the writer before it', String(by));
  }
});

test('a keyring leaves the key and the first commit of a known writer as they are', () => {
  const next = (change: { firstCommit?: number; key?: SigningKey }) => {
    const { maker } = begin('known writers');
    maker.addWriter('state_lost', 5, true);
    maker.keyring(golden(0));
    maker.writers.splice(1, 1, { ...newestOf(maker.writers), ...change });
    maker.keyring(golden(1));
    const records = maker.records.map(({ bytes }) => ({ bytes, isKnown: false }));
    return checkRecords(emptyLogState, maker.archiveId, records);
  };
  assert.equal(next({}).status, 'fit');
  for (const change of [{ firstCommit: 4 }, { firstCommit: 6 }, { key: createSigningKey(new Uint8Array(32)) }]) {
    const verdict = next(change);
    assert.equal(verdict.status === 'refused' && verdict.fact, 'the keyring changes writers that are there');
  }
});

test('a record of an epoch is taken once a keyring that begins it is there, and not before', async () => {
  const { maker } = begin('epochs');
  const kinds = ['block', 'bundle', 'list', 'tree'] as const;
  const sealAll = () => kinds.forEach((kind) => maker.store(kind, new Uint8Array(10)));
  sealAll();
  maker.addEpoch(golden(1));
  const before = maker.records.length;
  sealAll();
  await maker.commit({ time: golden(2) });
  const early = maker.records.slice(before).map(({ bytes }) => ({ bytes, isKnown: false }));
  const known = maker.records.slice(0, before).map(({ bytes }) => ({ bytes, isKnown: false }));
  const { bytes: keyring } = maker.keyring(golden(3));
  assert.equal(early.length, kinds.length + 1);
  for (const record of early) {
    const verdict = checkRecords(emptyLogState, maker.archiveId, [...known, record]);
    const fact = verdict.status === 'refused' && verdict.fact;
    assert.equal(fact, 'the record is of an epoch that no keyring here has');
    const after = [...known, { bytes: keyring, isKnown: false }, record];
    assert.equal(checkRecords(emptyLogState, maker.archiveId, after).status, 'fit');
    // What lies there since a version that did not look is no reason to refuse the archive.
    const there = checkRecords(emptyLogState, maker.archiveId, [...known, { ...record, isKnown: true }]);
    assert.equal(there.status, 'fit');
  }
});

test('a keyring of an older epoch than the one before it is refused, for nothing counts behind it', () => {
  const next = (epochsOfThird: number) => {
    const { maker } = begin('older epochs');
    maker.addEpoch(golden(0));
    maker.keyring(golden(1));
    maker.epochs.splice(epochsOfThird);
    if (epochsOfThird === 3) maker.addEpoch(golden(2));
    maker.keyring(golden(3));
    const records = maker.records.map(({ bytes }) => ({ bytes, isKnown: false }));
    return checkRecords(emptyLogState, maker.archiveId, records);
  };
  for (const epochs of [2, 3]) assert.equal(next(epochs).status, 'fit');
  const verdict = next(1);
  assert.equal(verdict.status === 'refused' && verdict.fact, 'the keyring is of an older epoch than the one before it');
});
