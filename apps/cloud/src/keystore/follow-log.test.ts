import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@holdfast/base';
import {
  appendLeaves,
  defaultReleaseRules,
  emptyTree,
  formatRulesChange,
  outlineHash,
  outlineOf,
  subject,
  writeKeyLogLeaf,
  type KeyLogFact,
} from '@holdfast/trust';
import { followLog, type FollowFacts } from './follow-log.ts';
import { judgeRelease } from './judge-release.ts';
import { judgeRulesLeaf } from './judge-rules.ts';
import { expectTrusted, registerKey } from './key-register.ts';
import { approve, leafOf, logVerifier, makeScene, nowMs, SceneLog, tenant } from './release-scene.fixture.ts';

const publicKey = 'A'.repeat(43);
const daily: KeyLogFact = { kind: 'daily_heads', day: '2026-03-04', archives: 1, root: '0'.repeat(64) };
const ended: KeyLogFact = { kind: 'key_ended', deviceUid: newId(), publicKey, archiveId: newId() };

/** A log of these leaves, and how it is shown to who followed the first ones. */
function logOf(facts: readonly KeyLogFact[], keptSize = 0) {
  const log = new SceneLog(0);
  const written = facts.map((fact) => writeKeyLogLeaf(leafOf(fact)));
  for (const { text } of written) log.add(JSON.parse(text) as ReturnType<typeof leafOf>);
  const all = written.map(({ outline }) => outline);
  const texts = new Map(
    written.flatMap(({ text, subjects }, place) => (subjects.includes(subject.keystore) ? [[place, text]] : [])),
  );
  const kept = appendLeaves(emptyTree, all.slice(0, keptSize).map(outlineHash)).state;
  const shown: FollowFacts = {
    tenant,
    logVerifier,
    kept,
    head: { note: log.note(), consistency: [] },
    outlines: all.slice(keptSize),
    texts,
  };
  return { log, shown };
}

const refuses = (code: string, facts: FollowFacts) =>
  assert.throws(() => followLog(facts), { code: `keystore.${code}` });

test('the log is followed over every leaf, and those of keys and rules are given in order', () => {
  const change = formatRulesChange({ version: 1, ...tenant, number: 1, rules: defaultReleaseRules });
  const facts: readonly KeyLogFact[] = [
    { kind: 'key_registered', deviceUid: newId(), publicKey },
    daily,
    { kind: 'person_key_registered', userUid: newId(), publicKey, mayApprove: true },
    { kind: 'release_rules', change, approvals: [] },
    ended,
  ];
  const { shown, log } = logOf(facts);
  const { kept, leaves } = followLog(shown);
  assert.deepEqual(
    leaves.map(({ logIndex, leaf }) => [logIndex, leaf.kind]),
    [
      [0, 'key_registered'],
      [2, 'person_key_registered'],
      [3, 'release_rules'],
      [4, 'key_ended'],
    ],
  );
  assert.equal(kept.size, log.size);
  assert.deepEqual(followLog({ ...shown, kept, outlines: [] }), { kept, leaves: [] });
  for (let size = 0; size <= facts.length; size += 1)
    assert.deepEqual(followLog(logOf(facts, size).shown).kept.size, 5);
});

test('a leaf that the keystore has to know cannot be withheld, replaced or left out, nor the log be another or shorter', () => {
  const { shown, log } = logOf([daily, ended, daily, ended]);
  const other = logOf([daily, ended, daily, ended]);
  const { kept } = followLog(shown);
  refuses('hidden_leaf', { ...shown, texts: new Map() });
  refuses('hidden_leaf', { ...shown, texts: new Map([...shown.texts, [3, shown.texts.get(1)!]]) });
  refuses('hidden_leaf', { ...shown, texts: new Map([...shown.texts, [3, '{}']]) });
  refuses('forked_log', { ...shown, outlines: other.shown.outlines });
  refuses('forked_log', { ...shown, outlines: shown.outlines.slice(1) });
  refuses('forked_log', { ...shown, outlines: [...shown.outlines, ...shown.outlines] });
  refuses('forked_log', { ...other.shown, kept, outlines: [] });
  refuses('older_head', { ...shown, kept, head: { note: log.note(2), consistency: [] }, outlines: [] });
  refuses('unsigned_head', { ...shown, head: { note: '', consistency: [] } });
  followLog(shown);
  followLog(other.shown);
});

test('a log is followed by pieces under one head, of which each has to be where the head says', async () => {
  const { shown, log } = logOf([ended, daily, daily, ended, daily, daily, ended]);
  const note = log.note();
  let { kept } = shown;
  for (const end of [1, 2, 4, 7]) {
    const piece = { ...shown, kept, outlines: shown.outlines.slice(kept.size, end) };
    const head = { note, consistency: await log.goOn(end) };
    if (end < 7) {
      const short = { ...piece, outlines: piece.outlines.slice(0, -1) };
      for (const wrong of [
        { ...piece, head: { note, consistency: [] } },
        { ...short, head },
      ])
        refuses('forked_log', wrong);
      refuses('forked_log', { ...piece, head, outlines: piece.outlines.map(() => shown.outlines[6]!) });
    }
    const followed = followLog({ ...piece, head });
    assert.deepEqual(
      followed.leaves.map(({ logIndex }) => logIndex),
      [0, 3, 6].filter((place) => place >= kept.size && place < end),
    );
    ({ kept } = followed);
  }
  assert.deepEqual(kept, followLog(shown).kept);
});

test('a leaf under more labels than its own is none that counts', () => {
  const { log, shown } = logOf([daily]);
  const leaf = leafOf(ended);
  const { text, subjects } = writeKeyLogLeaf(leaf);
  const outline = outlineOf(text, [...subjects, subject.everyone]);
  const place = log.add(leaf, outline);
  refuses('hidden_leaf', {
    ...shown,
    head: { note: log.note(), consistency: [] },
    outlines: [...shown.outlines, outline],
    texts: new Map([[place, text]]),
  });
});

test('a release under a head that was not followed waits until it is: the leaf that its key ended cannot be kept back', async () => {
  const scene = makeScene();
  const { device, keys } = scene;
  const followed = await scene.factsOf({ requester: device });
  const kept = scene.keyLog.head();
  const shown = await scene.keyLog.show(followed.leaf!.logIndex, kept);
  assert.equal(judgeRelease({ ...followed, ...shown, isFollowed: true }).status, 'granted');
  const end = leafOf({ kind: 'key_ended', deviceUid: device.holder.uid, publicKey: device.publicKey, archiveId: null });
  scene.keyLog.add(end);
  const later = await scene.factsOf({ requester: device });
  const hiding = { ...later, ...(await scene.keyLog.show(later.leaf!.logIndex, kept)), isFollowed: true };
  assert.throws(() => judgeRelease(hiding), { code: 'keystore.not_followed' });
  assert.ok(end.kind === 'key_ended');
  const row = registerKey(keys, end, { tenantUid: tenant.tenantUid, nowMs });
  assert.throws(() => expectTrusted([row], device.publicKey, nowMs), { code: 'keystore.ended_key' });
});

test('a change of the rules that was followed is judged as one that is shown by itself', () => {
  const { first, second, keys } = makeScene();
  const rules = { ...defaultReleaseRules, admin_restore: { approvals: 2, delayHours: 0, notice: 'owner' } } as const;
  const change = formatRulesChange({ version: 1, ...tenant, number: 1, rules });
  const { shown } = logOf([
    { kind: 'release_rules', change, approvals: [approve(change, first), approve(change, second)] },
  ]);
  const leaf = followLog(shown).leaves[0]?.leaf;
  assert.ok(leaf?.kind === 'release_rules');
  const judged = judgeRulesLeaf(leaf, { tenant, nowMs, keys, rules: [] });
  assert.deepEqual(judged, { number: 1, known: { rules, knownSinceMs: nowMs } });
});
