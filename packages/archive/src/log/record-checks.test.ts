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
