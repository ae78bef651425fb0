import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  appendLeaves,
  cosignNote,
  emptyTree,
  formatVerifierKey,
  keystoreKeyName,
  noteSigner,
  outlineHash,
  rootOf,
  signCheckpoint,
} from '@holdfast/trust';
import { AgentDatabase } from '../state/agent-database.ts';
import type { FollowKeyLogOptions } from './follow-key-log.ts';
import {
  type Entry,
  genuine,
  installationId,
  leaf,
  newSigner,
  origin,
  Scene,
  signer,
  tenantUid,
} from './key-log-scene.fixture.ts';
import { KeystoreFollowing } from './keystore-following.ts';

const HOUR = 3_600_000;
const newKeystore = () =>
  noteSigner(keystoreKeyName(installationId, tenantUid), generateKeyPairSync('ed25519').privateKey);
const keystore = newKeystore();

/** The head that the log signs over some leaves, as the keystore signs it. */
function followedNote(entries: readonly Entry[], { by = keystore, logKey = signer } = {}): string {
  const hashes = entries.map(({ outline }) => outlineHash(outline));
  const root = rootOf(appendLeaves(emptyTree, hashes).state);
  return cosignNote(signCheckpoint({ origin, treeSize: entries.length, root }, [logKey]), by);
}

/** A computer that follows the log of a scene, and knows its tenant's keystore. */
async function start(t: TestContext) {
  const scene = await Scene.start(t);
  const database = new AgentDatabase(path.join(path.dirname(scene.file), 'agent.db'));
  t.after(() => database.close());
  const of = (verifier = formatVerifierKey(keystore.key)) => new KeystoreFollowing(database, scene.book, verifier);
  const first: string[] = [];
  const show = async (entries: readonly Entry[], followed?: string) => {
    const onSigned: FollowKeyLogOptions['onSigned'] = ({ followed: head }) =>
      void first.push(
        ...of()
          .hear(head, scene.nowMs)
          .map(({ code }) => code),
      );
    await scene.follow({ entries, followed }, { onSigned });
  };
  const faults = () => scene.book.faults().map(({ code }) => code);
  const late = () =>
    of()
      .lateness()
      .map(({ error }) => error.code);
  return { scene, of, first, show, faults, late };
}

test('a keystore that follows what the log shows is quiet for ever, however fast or slowly the log grows', async (t) => {
  const { scene, show, faults, late, first } = await start(t);
  let entries = genuine();
  for (const pause of [0.01, 0.01, 5, 20, 0.01, 23, 1_000]) {
    // It is always one leaf behind what is shown beside it.
    const behind = entries;
    entries = [...entries, leaf()];
    await show(entries, followedNote(behind));
    assert.deepEqual(late(), [], `${pause} hours`);
    scene.nowMs += 60_000;
    await show(entries, followedNote(entries));
    scene.nowMs += pause * HOUR;
    await show(entries, followedNote(entries));
    assert.deepEqual(late(), [], `${pause} hours`);
  }
  for (let hour = 0; hour < 30; hour++, scene.nowMs += HOUR) {
    const behind = entries;
    entries = [...entries, leaf()];
    await show(entries, followedNote(behind));
    assert.deepEqual(late(), [], `in the hour ${hour} of a log that never rests`);
  }
  assert.deepEqual([faults(), first], [[], []]);
});

test('a keystore that is kept from a leaf is said after a day, however often its old head is shown, until it has it', async (t) => {
  const { scene, show, late, faults } = await start(t);
  let entries = genuine();
  const old = followedNote(entries);
  await show(entries, old);
  for (let hour = 0; hour <= 24; hour++, scene.nowMs += HOUR) {
    entries = [...entries, leaf()];
    await show(entries, old);
    assert.deepEqual(late(), [], `${hour}`);
  }
  await show(entries, old);
  assert.deepEqual(late(), ['key_log.unfollowed']);
  await show(entries, followedNote(entries.slice(0, -1)));
  assert.deepEqual(late(), [], 'it has the leaves of a day ago');
  assert.deepEqual(faults(), []);
});

test('a keystore of which no head is ever shown is said after a day, and not while the server is away', async (t) => {
  const { scene, show, late } = await start(t);
  const entries = genuine();
  await show(entries);
  scene.nowMs += 25 * HOUR;
  assert.deepEqual(late(), [], 'nothing was asked meanwhile');
  await show(entries);
  assert.deepEqual(late(), ['key_log.unfollowed']);
  await show(entries, followedNote(entries));
  assert.deepEqual(late(), []);
});

test('a log that is made for the keystore alone is a fork, with both heads as the log signed them', async (t) => {
  const { scene, show, first, faults, late } = await start(t);
  const entries = genuine();
  await show(entries, followedNote(entries));
  const [grown, forked] = [
    [...entries, leaf()],
    [...entries.slice(0, -1), leaf()],
  ];
  await show(grown, followedNote(forked));
  assert.deepEqual([first, faults()], [['key_log.forked'], ['key_log.forked']]);
  const [kept] = [...scene.book.evidence()];
  assert.ok(kept?.note === followedNote(forked) && kept.knownNote.startsWith(`${origin}\n6\n`));
  scene.nowMs += 25 * HOUR;
  await show(grown, followedNote(forked));
  assert.deepEqual(late(), ['key_log.unfollowed'], 'the head of another log is none that was followed');
});

test('a head that is longer than what is shown is kept until its leaves come, and then compared', async (t) => {
  const { scene, show, faults } = await start(t);
  const entries = genuine();
  const [longer, forked] = [
    [...entries, leaf()],
    [...entries, leaf()],
  ];
  await show(entries, followedNote(forked));
  assert.equal(scene.book.shownHead()?.treeSize, 6);
  assert.deepEqual(faults(), []);
  await show(longer, followedNote(entries));
  assert.deepEqual(faults(), ['key_log.forked']);
});

test('what the keystore or the log did not sign is a fault, and counts for nothing', async (t) => {
  const entries = genuine();
  const wrong = [
    [followedNote(entries, { by: newKeystore() }), 'key_log.keystore_unsigned'],
    [followedNote(entries).replace(/[^\n]{4}\n$/, 'AAA=\n'), 'key_log.keystore_unsigned'],
    ['no note', 'key_log.keystore_unsigned'],
    [followedNote(entries, { logKey: newSigner() }), 'key_log.head_unsigned'],
  ] as const;
  for (const [note, code] of wrong) {
    const { scene, show, first, faults, late } = await start(t);
    await show(entries, note);
    assert.deepEqual([first, faults()], [[code], [code]]);
    scene.nowMs += 25 * HOUR;
    await show(entries, note);
    assert.equal(first.length, 1, 'once');
    assert.deepEqual(late(), ['key_log.unfollowed']);
    await show(entries, followedNote(entries));
    assert.deepEqual(late(), []);
  }
});

test('what is known of one keystore is not that of the next', async (t) => {
  const { scene, show, of } = await start(t);
  const entries = genuine();
  await show(entries, followedNote(entries));
  const other = of(formatVerifierKey(newKeystore().key));
  assert.deepEqual(other.hear(undefined, scene.nowMs), []);
  scene.nowMs += 25 * HOUR;
  await scene.follow({ entries });
  assert.deepEqual(
    other.lateness().map(({ error }) => error.code),
    ['key_log.unfollowed'],
  );
});
