import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { appendLeaves, emptyTree, formatWitnessKey, outlineHash, rootOf, signCheckpoint } from '@holdfast/trust';
import { newCosigner } from '@holdfast/trust/testing';
import { AgentDatabase } from '../state/agent-database.ts';
import type { FollowKeyLogOptions } from './follow-key-log.ts';
import { type Entry, genuine, leaf, newSigner, origin, Scene, signer } from './key-log-scene.fixture.ts';
import { KeyWitnesses } from './key-witnesses.ts';

const HOUR = 3_600_000;
const witness = newCosigner('witness.example/w1');
const key = formatWitnessKey(witness.key);

/** The head that a server signs over some leaves. */
function noteOf(entries: readonly Entry[], { name = origin, by = signer } = {}): string {
  const hashes = entries.map(({ outline }) => outlineHash(outline));
  const root = rootOf(appendLeaves(emptyTree, hashes).state);
  return signCheckpoint({ origin: name, treeSize: entries.length, root }, [by]);
}

const cosigned = (note: string, atMs: number, by = witness) => note + by.line(note, new Date(atMs));

/** A computer that follows the log of a scene, and demands witnesses. */
async function start(t: TestContext) {
  const scene = await Scene.start(t);
  const database = new AgentDatabase(path.join(path.dirname(scene.file), 'agent.db'));
  t.after(() => database.close());
  const witnesses = new KeyWitnesses(database, scene.book);
  const first: string[] = [];
  const show = async (entries: readonly Entry[], notes: readonly string[] = []) => {
    const onSigned: FollowKeyLogOptions['onSigned'] = ({ cosigned: heads }) =>
      void first.push(...witnesses.hear(heads, scene.nowMs).map(({ code }) => code));
    await scene.follow({ entries, cosigned: notes }, { onSigned });
  };
  const faults = () => scene.book.faults().map(({ code }) => code);
  const late = (ms = 0) => witnesses.lateness(scene.nowMs + ms).map(({ error }) => error.code);
  return { scene, database, witnesses, first, show, faults, late };
}

test('a witness that cosigns what the log shows is quiet for ever, however slowly the log grows', async (t) => {
  const { scene, witnesses, show, faults, late, first } = await start(t);
  witnesses.add(key, scene.nowMs);
  let entries = genuine();
  let behind = noteOf(entries);
  for (const pause of [0.02, 0.02, 5, 23, 25, 100, 0.02, 1_000]) {
    await show(entries, [cosigned(behind, scene.nowMs - 60_000)]);
    assert.deepEqual(late(), [], `${pause} hours`);
    // A minute later it has what was new.
    scene.nowMs += 60_000;
    await show(entries, [cosigned(noteOf(entries), scene.nowMs)]);
    scene.nowMs += pause * HOUR;
    assert.deepEqual(late(), [], `${pause} hours`);
    behind = noteOf(entries);
    entries = [...entries, leaf()];
  }
  assert.deepEqual([faults(), first], [[], []]);
  assert.equal(witnesses.list()[0]?.cosigned?.treeSize, entries.length - 1);
});

test('a witness that is away is said after a day, by its own time, and no more once it is back', async (t) => {
  const { scene, witnesses, show, late } = await start(t);
  witnesses.add(key, scene.nowMs);
  let entries = genuine();
  const last = cosigned(noteOf(entries), scene.nowMs - 2 * HOUR);
  await show(entries, [last]);
  entries = [...entries, leaf()];
  for (let hour = 0; hour < 22; hour++, scene.nowMs += HOUR) {
    await show(entries, [last]);
    assert.deepEqual(late(), [], `${hour}`);
  }
  scene.nowMs += 60_000;
  assert.deepEqual(late(), ['key_log.unwitnessed']);
  await show([...entries, leaf()], [last, cosigned(noteOf(genuine()), scene.nowMs, newCosigner(witness.key.name))]);
  assert.deepEqual(late(), ['key_log.unwitnessed'], 'another key of its name is another witness');
  await show([...entries, leaf()], [cosigned(noteOf(entries), scene.nowMs)]);
  assert.deepEqual(late(), []);
});

test('a witness that never cosigned is said after an hour, one that nobody demands never', async (t) => {
  const { scene, witnesses, show, late } = await start(t);
  await show(genuine());
  assert.deepEqual(late(100 * HOUR), []);
  witnesses.add(key, scene.nowMs);
  await show(genuine());
  assert.deepEqual(late(HOUR - 1), []);
  assert.deepEqual(late(HOUR + 60_000), ['key_log.unwitnessed']);
  assert.deepEqual(late(-2 * HOUR), ['key_log.unwitnessed'], 'a clock that was set back');
  witnesses.remove(witness.key.name);
  assert.deepEqual(late(100 * HOUR), []);
});

test('what was cosigned before a day that is yet to come does not stand for the days until then', async (t) => {
  const { scene, witnesses, show, late } = await start(t);
  witnesses.add(key, scene.nowMs);
  const entries = genuine();
  const ahead = cosigned(noteOf(entries), scene.nowMs + 10_000 * HOUR);
  await show([...entries, leaf()], [ahead]);
  assert.deepEqual(late(2 * HOUR), ['key_log.unwitnessed']);
});

test('a cosigned head over other leaves proves that there are two logs, shorter, equal or longer than the one shown', async (t) => {
  for (const others of [3, 5]) {
    const { scene, witnesses, show, faults, first } = await start(t);
    witnesses.add(key, scene.nowMs);
    const entries = genuine();
    await show(entries);
    const note = cosigned(noteOf(entries.with(0, leaf()).slice(0, others)), scene.nowMs);
    await show(entries, [note]);
    await show(entries, [note]);
    assert.deepEqual([faults(), first], [['key_log.forked'], ['key_log.forked']], `${others}`);
    assert.equal([...scene.book.evidence()][0]?.note, note, 'its line is kept with it');
    assert.equal(witnesses.list()[0]?.cosigned, undefined);
  }
  const { scene, witnesses, show, faults } = await start(t);
  witnesses.add(key, scene.nowMs);
  const entries = genuine();
  const longer = [...entries.with(0, leaf()), leaf()];
  await show(entries, [cosigned(noteOf(longer), scene.nowMs)]);
  assert.deepEqual(scene.lateAfter(2 * HOUR).includes('key_log.withheld'), true);
  await show([...entries, leaf(), leaf()]);
  assert.deepEqual(faults(), ['key_log.forked'], 'once the leaves come that it is not over');
});

test('a false cosignature of a demanded witness, and one below what is no head of the log, are kept as faults', async (t) => {
  const { scene, witnesses, show, faults, first } = await start(t);
  const entries = genuine();
  const [note, atMs] = [noteOf(entries), scene.nowMs];
  const ofAnother = witness.line(noteOf(entries.slice(1)), new Date(atMs));
  await show(entries, [note + ofAnother]);
  assert.deepEqual(faults(), [], 'nobody demands it');
  witnesses.add(key, scene.nowMs);
  await show(entries, [note + ofAnother]);
  assert.deepEqual(faults(), ['key_log.cosignature_false']);
  const strange = [noteOf(entries, { by: newSigner() }), noteOf(entries, { name: `${origin}x` })];
  for (const each of strange) await show(entries, [cosigned(each, atMs)]);
  assert.deepEqual(
    [faults(), first],
    [
      ['key_log.cosignature_false', 'key_log.head_unsigned'],
      ['key_log.cosignature_false', 'key_log.head_unsigned', 'key_log.head_unsigned'],
    ],
  );
  assert.equal(witnesses.list()[0]?.cosigned, undefined);
  await show(entries, [cosigned(note, atMs, newCosigner('witness.example/w2')), cosigned(note, atMs)]);
  assert.equal(witnesses.list()[0]?.cosigned?.treeSize, entries.length);
});

test('witnesses are demanded by their keys, each once, and no longer by their names; a damaged book changes nothing', async (t) => {
  const { scene, database, witnesses } = await start(t);
  const names = () => new KeyWitnesses(database, scene.book).list().map(({ name }) => name);
  for (const wrong of ['', 'witness', key.slice(0, -4), key.replace('+B', '+A')])
    assert.throws(() => witnesses.add(wrong, 0), { code: 'key_witness.malformed' }, wrong);
  assert.deepEqual(names(), []);
  witnesses.add(key, 0);
  const sameName = formatWitnessKey(newCosigner(witness.key.name).key);
  for (const again of [key, sameName]) assert.throws(() => witnesses.add(again, 0), { code: 'key_witness.known' });
  for (let number = 2; number <= 16; number++) witnesses.add(formatWitnessKey(newCosigner(`w${number}`).key), 0);
  const more = formatWitnessKey(newCosigner('more').key);
  assert.throws(() => witnesses.add(more, 0), { code: 'key_witness.too_many' });
  assert.throws(() => witnesses.remove('more'), { code: 'key_witness.not_found' });
  witnesses.remove('w2');
  witnesses.add(more, 0);
  assert.deepEqual([names().length, names().includes('w2'), names().at(-1)], [16, false, 'more']);
  scene.reopen({ ...scene.book.pinned, origin: 'another' });
  assert.equal(names().length, 16);
});
