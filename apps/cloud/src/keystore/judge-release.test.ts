import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { newId, systemRandom } from '@holdfast/base';
import {
  defaultReleaseRules,
  noteSigner,
  outlineOf,
  parseReleaseRequest,
  signReleaseRequest,
  subject,
  writeKeyLogLeaf,
  type KnownRules,
  type Release,
  type ReleaseRule,
} from '@holdfast/trust';
import { ANSWER_AGAIN_MS, judgeRelease, LONGEST_REQUEST_MS, type ReleaseFacts } from './judge-release.ts';
import { KEY_WAIT_MS } from './key-register.ts';
import {
  approve,
  approver,
  HOUR_MS,
  leafOf,
  makeArchive,
  makeParty,
  makeScene,
  nowMs,
  registered,
  SceneLog,
  tenant,
  type ReleasePlan,
} from './release-scene.fixture.ts';

const scene = makeScene();
const { admin, archive, device, first, second, keys, keyLog } = scene;
const own: ReleasePlan = { requester: device };
const byAdmin: ReleasePlan = { requester: admin, approvers: [first] };
const replacing: ReleasePlan = { requester: device, approvers: [first], request: { scope: 'ring', epochs: 'all' } };
const at = (ms: number) => new Date(ms).toISOString();

/** Expects that something is refused for this reason, and its genuine neighbour granted. */
async function refuses(code: string, wrong: ReleasePlan | ReleaseFacts, genuine: ReleasePlan | ReleaseFacts = own) {
  const [refused, granted] = [await factsOf(wrong), await factsOf(genuine)];
  assert.throws(() => judgeRelease(refused), { code: `keystore.${code}` });
  const verdict = judgeRelease(granted);
  assert.equal(verdict.status, 'granted', code);
  return verdict;
}

async function factsOf(of: ReleasePlan | ReleaseFacts): Promise<ReleaseFacts> {
  return 'requester' in of ? scene.factsOf(of) : of;
}

/** A plan with other facts beside it. */
const withFacts = (plan: ReleasePlan, facts: Partial<ReleaseFacts>): ReleasePlan => ({ ...plan, facts });
const ruledBy = (rule: Partial<ReleaseRule>): { readonly rules: readonly KnownRules[] } => {
  const all = (purpose: 'own_restore' | 'admin_restore' | 'replacement') => ({
    ...defaultReleaseRules[purpose],
    ...rule,
  });
  const rules = {
    own_restore: all('own_restore'),
    admin_restore: all('admin_restore'),
    replacement: all('replacement'),
  };
  return { rules: [{ rules, knownSinceMs: nowMs - 100 * KEY_WAIT_MS }] };
};

test('a device has its own archive by itself, others and a replacement by an approval: the purpose follows from who asks for what', async () => {
  for (const [plan, purpose] of [
    [own, 'own_restore'],
    [byAdmin, 'admin_restore'],
    [replacing, 'replacement'],
  ] as const) {
    const facts = await scene.factsOf(plan);
    const verdict = judgeRelease(facts);
    assert.equal(verdict.status, 'granted');
    if (verdict.status !== 'granted') continue;
    const { grant, keep } = verdict;
    const leaf = JSON.parse(facts.leaf!.text) as Release;
    assert.deepEqual([grant.purpose, leaf.purpose], [purpose, purpose]);
    assert.deepEqual([grant.archiveId, grant.slotId], [new Uint8Array(archive.keys.archiveId), archive.slot.slotId]);
    assert.deepEqual([grant.recipientKey, grant.keyring], [scene.recipient.publicKey, archive.record]);
    assert.deepEqual([grant.scope, grant.epochs], plan === replacing ? ['ring', 'all'] : ['read', [0, 2]]);
    assert.deepEqual(keep.head, keyLog.head());
    const { requestId, requesterKey } = parseReleaseRequest(facts.request.text);
    const leafHash = Buffer.from(grant.leafHash).toString('hex');
    assert.deepEqual(keep.use, { requestId, requesterKey, leafHash, usedMs: nowMs });
  }
});

test('without a leaf, or by the leaf of something else, nothing is released', async () => {
  const facts = await scene.factsOf(own);
  await refuses('no_leaf', { ...facts, leaf: undefined }, facts);
  const other = await scene.factsOf({ ...own, request: { reason: 'another' } });
  const registers = await keyLog.show(0, facts.kept);
  await refuses('no_leaf', { ...facts, head: registers.head, leaf: registers.leaf });
  await refuses('no_leaf', { ...facts, leaf: { ...facts.leaf!, text: '{}' } });
  await refuses('other_leaf', { ...other, request: facts.request }, other);
  const elsewhere = await scene.factsOf({ ...own, request: { recipientKey: `${'A'.repeat(42)}E` } });
  await refuses('other_recipient', { ...elsewhere, request: facts.request }, elsewhere);
  await refuses('bad_request', { ...elsewhere, request: { ...facts.request, text: '{}' } });
  // Signed twice, the request is the same one: which signature was logged is known.
  const { signature } = other.request;
  await refuses('other_leaf', { ...facts, request: { ...facts.request, signature } }, facts);
});

test('a head that is older, of another log or not signed by the key of the log, and a forged proof release nothing', async () => {
  const facts = await scene.factsOf(own);
  keyLog.add(leafOf({ kind: 'daily_heads', day: '2026-03-04', archives: 1, root: '0'.repeat(64) }));
  const newer = await scene.factsOf(own);
  // The same leaf under the head after it, for who knows that head already.
  const place = facts.leaf!.logIndex;
  await refuses(
    'older_head',
    { ...facts, kept: keyLog.head() },
    { ...facts, ...(await keyLog.show(place, keyLog.head())) },
  );
  const forked = new SceneLog(keyLog.size);
  await refuses(
    'forked_log',
    { ...newer, kept: forked.head(3) },
    { ...newer, ...(await keyLog.show(newer.leaf!.logIndex, keyLog.head(3))) },
  );
  await refuses('forked_log', { ...newer, head: { ...newer.head, consistency: [] } }, newer);
  const strange = generateKeyPairSync('ed25519').privateKey;
  const name = `holdfast/${tenant.installationId}/${tenant.tenantUid}`;
  const forgedNote = keyLog.note(keyLog.size, noteSigner(name, strange));
  for (const note of [forgedNote, '', newer.head.note.replace('/keys', '')])
    await refuses('unsigned_head', { ...newer, head: { ...newer.head, note } }, newer);
  await refuses('unsigned_head', { ...newer, tenant: { ...tenant, tenantUid: newId() } }, newer);
  const { leaf } = newer;
  const [one, ...others] = leaf!.inclusion;
  for (const inclusion of [[], others, [one!.with(0, one![0]! ^ 1), ...others]])
    await refuses('forged_proof', { ...newer, leaf: { ...leaf!, inclusion } }, newer);
  await refuses('forged_proof', { ...newer, leaf: { ...leaf!, logIndex: leaf!.logIndex - 1 } }, newer);
  const { text } = writeKeyLogLeaf({ ...(JSON.parse(leaf!.text) as Release), purpose: 'admin_restore' });
  await refuses('forged_proof', { ...newer, leaf: { ...leaf!, text } }, newer);
});

test('an entry that hides the leaf of a release from the device whose archive it is releases nothing', async () => {
  const { request, leaf } = scene.logged(own);
  const { text } = writeKeyLogLeaf(leaf);
  const hidden = outlineOf(text, [subject.archive(newId()), subject.device(device.holder.uid)]);
  const genuine = await scene.factsOf(own);
  const shown = await keyLog.show(keyLog.add(leaf, hidden));
  await refuses('forged_proof', { ...genuine, ...shown, request }, genuine);
});

test('a request that is forged, of another tenant, expired, too long or used releases nothing', async () => {
  const asked = scene.requestOf(device);
  const stranger = makeParty('device');
  const forged = signReleaseRequest(asked, stranger.sign);
  const facts = await scene.factsOf({ ...own, leaf: { request: forged } });
  await refuses('forged_request', { ...facts, request: forged });
  const signed = signReleaseRequest(asked, device.sign);
  const redirected = { ...signed, text: signed.text.replace(asked.recipientKey, `${'A'.repeat(42)}E`) };
  const altered = await scene.factsOf({ ...own, leaf: { request: redirected } });
  await refuses('forged_request', { ...altered, request: redirected });
  await refuses('other_tenant', { ...own, request: { tenantUid: newId() } });
  await refuses('other_tenant', { ...own, request: { installationId: newId() } });
  const until = (ms: number): ReleasePlan => ({ ...own, request: { expiresAt: at(ms) } });
  await refuses('expired', until(nowMs), until(nowMs + 1));
  await refuses('expires_late', until(nowMs + LONGEST_REQUEST_MS + 1), until(nowMs + LONGEST_REQUEST_MS));
  const granted = await scene.factsOf(own);
  const verdict = judgeRelease(granted);
  assert.ok(verdict.status === 'granted');
  const use = verdict.keep.use!;
  const { requestId } = use;
  const used = [use];
  const again = await scene.factsOf({ ...own, request: { requestId, reason: 'another' } });
  await refuses('used', { ...again, used }, again);
  const relogged = await scene.factsOf({ ...own, leaf: { request: granted.request } });
  const twice = { ...relogged, request: granted.request };
  await refuses('used', { ...twice, used }, { ...granted, used });
  await refuses('used', { ...twice, used }, withFacts(own, { used }));
  // Another's request of the same number is another one; what was kept before that was known stands for everybody's.
  const byAnother = [{ ...use, requesterKey: 'B'.repeat(43) }];
  await refuses('used', { ...twice, used: [{ ...use, requesterKey: '' }] }, { ...twice, used: byAnother });
});

test('a request that was granted is answered again under its leaf for a day, as long as it would be granted anew', async () => {
  const week = { request: { expiresAt: at(nowMs + 7 * ANSWER_AGAIN_MS) } };
  const facts = await scene.factsOf({ ...own, ...week });
  const first = judgeRelease(facts);
  assert.ok(first.status === 'granted');
  const later = (ms: number) => ({ ...facts, used: [first.keep.use!], nowMs: nowMs + ms });
  const again = judgeRelease(later(ANSWER_AGAIN_MS - 1));
  assert.ok(again.status === 'granted');
  assert.deepEqual([again.grant, again.keep.use], [first.grant, undefined]);
  await refuses('used', later(ANSWER_AGAIN_MS), later(ANSWER_AGAIN_MS - 1));
  const keysNow = keys.map((key) => (key.publicKey === device.publicKey ? { ...key, endedMs: nowMs } : key));
  await refuses('ended_key', { ...later(1), keys: keysNow }, later(1));
  await refuses('purpose_refused', { ...later(1), ...ruledBy({ approvals: 1 }) }, later(1));
});

test('another keyring than the request names, and a slot that is not for escrow, release nothing', async () => {
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const altered = archive.record.with(100, archive.record[100]! ^ 1);
  await refuses('other_keyring', withFacts(own, { keyring: altered }));
  await refuses('other_keyring', { ...own, request: { keyringSha256: sha256(altered) } });
  const longer = new Uint8Array([...archive.record, 0]);
  for (const keyring of [new Uint8Array(10), longer, archive.record.subarray(1)])
    await refuses('bad_keyring', withFacts({ ...own, request: { keyringSha256: sha256(keyring) } }, { keyring }));
  await refuses('no_escrow_slot', { ...own, request: { slotId: '0'.repeat(32) } });
});

test('a key that is unknown, ended or younger than a day releases nothing, unless an older one vouched for it', async () => {
  const newcomer = makeParty('person');
  const plan: ReleasePlan = { requester: newcomer, approvers: [first] };
  const known = (change: Parameters<typeof registered>[1]) =>
    withFacts(plan, { keys: [...keys, registered(newcomer, change)] });
  await refuses('unregistered_key', plan, known({}));
  await refuses('ended_key', known({ endedMs: nowMs - 1 }), known({}));
  const young = { firstSeenMs: nowMs - KEY_WAIT_MS + 1 };
  await refuses('young_key', known(young), known({ firstSeenMs: nowMs - KEY_WAIT_MS }));
  await refuses('young_key', known(young), known({ ...young, isTrustedAtOnce: true }));
  const ended = keys.map((key) => (key.publicKey === device.publicKey ? { ...key, endedMs: nowMs - 1 } : key));
  await refuses('ended_key', withFacts(own, { keys: ended }));
});

test('whose archive it is its writer says, and no leaf, register or newcomer', async () => {
  const newcomer = makeParty('device');
  const known = { keys: [...keys, registered(newcomer)] };
  const stranger = makeArchive();
  const claims = (ownerSignature: string): ReleasePlan =>
    withFacts({ requester: newcomer, approvers: [first], leaf: { ownerSignature } }, known);
  const honest = withFacts(
    { requester: newcomer, approvers: [first], leaf: { ownerSignature: null, purpose: 'admin_restore' } },
    known,
  );
  for (const signature of [archive.own(device), stranger.own(newcomer), 'A'.repeat(86)])
    await refuses('forged_owner', claims(signature), honest);
  // Enrolled anew after somebody reset the password: without an approval it is given nothing.
  const alone = withFacts({ ...honest, approvers: [] }, known);
  await refuses('purpose_refused', alone, honest);
  await refuses(
    'other_purpose',
    withFacts({ ...honest, leaf: { ownerSignature: null, purpose: 'own_restore' } }, known),
    honest,
  );
  const renamed = { ...honest, leaf: { ...honest.leaf, requester: device.holder } };
  await refuses('misnamed_requester', withFacts(renamed, known), honest);
  await refuses('other_purpose', { ...byAdmin, leaf: { purpose: 'own_restore' } }, byAdmin);
  await refuses('other_purpose', { ...own, leaf: { purpose: 'admin_restore' } });
  await refuses('other_purpose', { ...replacing, leaf: { purpose: 'own_restore' } }, replacing);
  // The device whose archive it is has no ring by itself either.
  await refuses('purpose_refused', { ...replacing, approvers: [] }, replacing);
});

test('approvals count from persons who may, for a day already, each once, for this request, and never from the requester', async () => {
  const [again, outsider, today] = [makeParty('person', first.holder.uid), makeParty('person'), makeParty('person')];
  const others = [
    approver(again),
    registered(outsider),
    approver(today, nowMs - KEY_WAIT_MS + 1),
    approver(admin),
    registered(makeParty('person', admin.holder.uid)),
  ];
  const known = { keys: [...keys.filter(({ publicKey }) => publicKey !== admin.publicKey), ...others] };
  const by = (...approvers: ReleasePlan['approvers'] & {}) => withFacts({ ...byAdmin, approvers }, known);
  await refuses('purpose_refused', by(), by(first));
  await refuses('self_approval', by(admin), by(second));
  await refuses('self_approval', by(first, admin), by(first));
  await refuses('unregistered_approver', by(makeParty('person')), by(first));
  await refuses('unregistered_approver', by(outsider), by(first));
  await refuses('unregistered_approver', by(first, device), by(first));
  const since = keys.map((key) => (key.publicKey === first.publicKey ? approver(first, nowMs - KEY_WAIT_MS) : key));
  await refuses('young_approver', by(today), withFacts(byAdmin, { keys: since }));
  await refuses('approved_twice', by(first, first), by(first, second));
  await refuses('approved_twice', by(first, again), by(again));
  const { request } = scene.logged(byAdmin);
  const approval = approve(request.text, first);
  await refuses('other_approval', { ...byAdmin, approvals: [approval] }, byAdmin);
  const strange = { ...approval, signature: approve(request.text, second).signature };
  await refuses('bad_approval', { ...byAdmin, approvals: [strange] }, byAdmin);
  const fresh = await scene.factsOf(byAdmin);
  const ended = fresh.keys.map((key) => (key.publicKey === first.publicKey ? { ...key, endedMs: nowMs } : key));
  await refuses('unregistered_approver', { ...fresh, keys: ended }, fresh);
});

test('another key of the person who asks approves nothing', async () => {
  const secondKey = makeParty('person', admin.holder.uid);
  const known = { keys: [...keys, approver(secondKey)] };
  await refuses('self_approval', withFacts({ ...byAdmin, approvers: [secondKey] }, known), withFacts(byAdmin, known));
});

test('the rules in force decide: how many approve, to whom the leaf is shown, and how long it stands before', async () => {
  const two = ruledBy({ approvals: 2 });
  await refuses('purpose_refused', withFacts(byAdmin, two), withFacts({ ...byAdmin, approvers: [first, second] }, two));
  const everyone = ruledBy({ approvals: 0, notice: 'everyone' });
  await refuses(
    'notice_refused',
    withFacts(own, everyone),
    withFacts({ ...own, leaf: { notice: 'everyone' } }, everyone),
  );
  const delayed = { ...(await scene.factsOf(own)), ...ruledBy({ approvals: 0, delayHours: 48 }) };
  const verdict = judgeRelease(delayed);
  assert.ok(verdict.status === 'waiting');
  assert.equal(verdict.opensAtMs, nowMs + 48 * HOUR_MS);
  const { head, waiting } = verdict.keep;
  assert.deepEqual([head, waiting.sinceMs], [keyLog.head(), nowMs]);
  const until = at(nowMs + 50 * HOUR_MS);
  const asked = await scene.factsOf({ ...own, request: { expiresAt: until } });
  const rules = { rules: delayed.rules };
  const began = judgeRelease({ ...asked, ...rules });
  assert.ok(began.status === 'waiting');
  const later = (hours: number, known = [began.keep.waiting]) =>
    judgeRelease({ ...asked, ...rules, waiting: known, nowMs: nowMs + hours * HOUR_MS }).status;
  assert.deepEqual([later(47.99), later(48), later(49)], ['waiting', 'granted', 'granted']);
  // What is not known by the keystore's own clock begins anew, whatever the leaf says of its time.
  assert.deepEqual([later(49, []), later(49, [waiting])], ['waiting', 'waiting']);
});

test('a rule that is stricter now is asked of a request that waits', async () => {
  const asked = await scene.factsOf(withFacts(own, ruledBy({ approvals: 0, delayHours: 1 })));
  const began = judgeRelease(asked);
  assert.ok(began.status === 'waiting');
  const later = { ...asked, waiting: [began.keep.waiting], nowMs: nowMs + 2 * HOUR_MS };
  const [changed] = ruledBy({ approvals: 1, delayHours: 1 }).rules;
  const stricter = [...asked.rules, { ...changed!, knownSinceMs: nowMs + HOUR_MS }];
  await refuses('purpose_refused', { ...later, rules: stricter }, later);
});

test('facts of random bytes are refused and never a crash', async () => {
  const facts = await scene.factsOf(own);
  for (let length = 0; length < 200; length += 5) {
    const bytes = systemRandom(length);
    const text = Buffer.from(bytes).toString('latin1');
    const wrong: readonly Partial<ReleaseFacts>[] = [
      { head: { ...facts.head, note: text } },
      { head: { ...facts.head, consistency: [bytes] } },
      { leaf: { ...facts.leaf!, text } },
      { leaf: { ...facts.leaf!, inclusion: [bytes] } },
      { leaf: { ...facts.leaf!, logIndex: length / 3 - 7 } },
      { request: { text, signature: text } },
      { request: { ...facts.request, signature: text } },
      { keyring: bytes },
    ];
    for (const one of wrong) assert.throws(() => judgeRelease({ ...facts, ...one }), { code: /^keystore\./ });
  }
  assert.equal(judgeRelease(facts).status, 'granted');
});
