import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deriveKeyRing } from '@holdfast/archive';
import { systemRandom } from '@holdfast/base';
import {
  defaultReleaseRules,
  formatRulesChange,
  signKeyVouch,
  type KeyLogFact,
  type ReleasedKeys,
} from '@holdfast/trust';
import { signHead } from '../modules/logs/index.ts';
import { startForFile } from '../testing/test-server.ts';
import { KEY_WAIT_MS } from './key-register.ts';
import { approve, HOUR_MS, makeParty, type ReleasePlan } from './release-scene.fixture.ts';
import { makeReleaseTenant, openAnswer, serveReleases, stranger, type SentRelease } from '../testing/release-tenant.ts';

const { cloud } = await startForFile();
const server = await serveReleases(cloud);
const { keystore, clock } = server;
const tenant = await makeReleaseTenant(cloud, 'releases', server);
const { tenantId, archive, recipient, device, admin, first, second, ask, bodyOf, bring, log } = tenant;

const own: ReleasePlan = { requester: device };
const byAdmin: ReleasePlan = { requester: admin, approvers: [first] };
const replacing: ReleasePlan = { requester: device, approvers: [first], request: { scope: 'ring', epochs: 'all' } };
const isoAt = (ms: number) => new Date(ms).toISOString();

/** The read keys of epochs, as their archive's owner works them out. */
function readKeysOf(epochs: readonly number[]): ReleasedKeys {
  const ring = deriveKeyRing(archive.keys.archiveId, archive.keys.ring.epochs);
  return {
    scope: 'read',
    epochs: epochs.map((epoch) => ({
      epoch,
      data: Buffer.from(ring.get(epoch)!.data),
      metadata: Buffer.from(ring.get(epoch)!.metadata),
    })),
  };
}

function assertKeys(released: ReleasedKeys, expected: ReleasedKeys): void {
  assert.ok(released.scope === 'read' && expected.scope === 'read');
  const textOf = (keys: typeof released) =>
    keys.epochs.map(({ epoch, ...one }) => [
      epoch,
      Buffer.from(one.data).toString('hex'),
      Buffer.from(one.metadata).toString('hex'),
    ]);
  assert.deepEqual(textOf(released), textOf(expected));
}

/** Expects that something is refused for this reason, and its genuine neighbour released. */
async function refuses(code: string, wrong: SentRelease, genuine: ReleasePlan = own): Promise<void> {
  await assert.rejects(keystore.release(wrong), { code: `keystore.${code}` });
  const keys = await tenant.release(genuine);
  if (keys.scope === 'read') assertKeys(keys, readKeysOf([0, 2]));
}

const sentOf = async (plan: ReleasePlan) => bodyOf(await ask(plan));

test('each purpose is released to its recipient: read keys of the epochs asked for, or the ring', async () => {
  for (const plan of [own, byAdmin]) assertKeys(await tenant.release(plan), readKeysOf([0, 2]));
  assertKeys(await tenant.release({ ...own, request: { epochs: 'all' } }), readKeysOf([0, 1, 2]));
  const keys = await tenant.release(replacing);
  assert.ok(keys.scope === 'ring');
  for (const { key } of archive.keys.ring.epochs) assert.ok(Buffer.from(keys.ring).includes(Buffer.from(key)));
});

test('without a leaf, or by the leaf of something else, the api is given nothing', async () => {
  const asked = await ask(own);
  const other = await ask({ ...own, request: { reason: 'another' } });
  const { leaf: registers } = await bodyOf({ ...asked, logIndex: 1 });
  await refuses('no_leaf', { ...(await bodyOf(asked)), leaf: registers });
  const current = await bodyOf(asked);
  await refuses('no_leaf', { ...current, leaf: { ...current.leaf, text: '{}' } });
  await refuses('other_leaf', { ...(await bodyOf(asked)), request: other.request });
  const { leaf: _, ...without } = await bodyOf(asked);
  await assert.rejects(keystore.release(without as SentRelease), { code: 'keystore.unknown_form' });
  await keystore.release(await bodyOf(asked));
});

test('a head that is older, or not followed, and a forged proof or head give the api nothing', async () => {
  const asked = await ask(own);
  const older = await bodyOf(asked);
  await log({ kind: 'daily_heads', day: '2026-03-04', archives: 1, root: '0'.repeat(64) });
  await bring();
  await refuses('older_head', older);
  const forge = async (change: (sent: SentRelease) => Partial<SentRelease>) => {
    const sent = await bodyOf(asked);
    return { ...sent, ...change(sent) };
  };
  const random = Buffer.from(systemRandom(32)).toString('base64url');
  await refuses(
    'forged_proof',
    await forge(({ leaf }) => ({ leaf: { ...leaf, inclusion: leaf.inclusion.with(0, random) } })),
  );
  await refuses('forged_proof', await forge(({ leaf }) => ({ leaf: { ...leaf, logIndex: leaf.logIndex - 1 } })));
  const longer = (note: string) => note.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`);
  await refuses('unsigned_head', await forge(({ note }) => ({ note: longer(note) })));
  // The log goes on and the keystore is not told: what is in between could be the end of the key.
  const last = await ask(own);
  await refuses('not_followed', await bodyOf(last, await signHead(tenant.deps, { tenantId, log: 'key' })));
  await keystore.release(await bodyOf(last));
});

test('another recipient than the one who is signed for is given nothing, whatever the leaf says', async () => {
  const asked = await ask(own);
  const mine = `${'A'.repeat(42)}E`;
  const { recipientKey } = JSON.parse(asked.request.text) as { recipientKey: string };
  const redirected = { ...asked.request, text: asked.request.text.replace(recipientKey, mine) };
  await refuses('other_recipient', { ...(await bodyOf(asked)), request: redirected });
  // The api writes leaves: it can log what it likes, and sign for nobody.
  const logged = await ask({ ...own, leaf: { request: redirected } });
  await refuses('forged_request', { ...(await bodyOf(logged)), request: redirected });
});

test('a request counts under one leaf, and for as long as it says', async () => {
  const { requestId } = JSON.parse((await ask(own)).request.text) as { requestId: string };
  const plan: ReleasePlan = { ...own, request: { requestId, expiresAt: isoAt(clock.now() + HOUR_MS) } };
  const asked = await ask(plan);
  assertKeys(openAnswer(asked, recipient, await keystore.release(await bodyOf(asked))), readKeysOf([0, 2]));
  const relogged = await ask({ ...plan, leaf: { request: asked.request } });
  await refuses('used', { ...(await bodyOf(relogged)), request: asked.request });
  await refuses('used', await sentOf({ ...plan, request: { ...plan.request, reason: 'another' } }));
  // An answer that was lost is given again, to the same recipient and no other.
  assertKeys(openAnswer(asked, recipient, await keystore.release(await bodyOf(asked))), readKeysOf([0, 2]));
  clock.advance(HOUR_MS);
  await refuses('expired', await bodyOf(asked));
  await refuses('expired', await sentOf({ ...own, request: { expiresAt: isoAt(clock.now()) } }));
  const lasting = await ask({ ...own, request: { expiresAt: isoAt(clock.now() + 50 * HOUR_MS) } });
  await keystore.release(await bodyOf(lasting));
  clock.advance(24 * HOUR_MS);
  await refuses('used', await bodyOf(lasting), { ...own, request: { expiresAt: isoAt(clock.now() + HOUR_MS) } });
});

test('a purpose that the rules refuse gives nothing, and rules that are made stricter count at once', async () => {
  const until = { expiresAt: isoAt(clock.now() + HOUR_MS) };
  const [mine, theirs, ring] = [own, byAdmin, replacing].map((plan) => ({
    ...plan,
    request: { ...plan.request, ...until },
  }));
  await refuses('purpose_refused', await sentOf({ ...theirs!, approvers: [] }), theirs);
  await refuses('self_approval', await sentOf({ ...theirs!, requester: first, approvers: [first] }), theirs);
  await refuses('purpose_refused', await sentOf({ ...ring!, approvers: [] }), ring);
  await refuses('other_purpose', await sentOf({ ...theirs!, leaf: { purpose: 'own_restore' } }), mine);
  const before = await sentOf(theirs!);
  const rules = { ...defaultReleaseRules, admin_restore: { approvals: 2, delayHours: 0, notice: 'owner' } } as const;
  const change = (number: number, of: typeof defaultReleaseRules) =>
    formatRulesChange({ version: 1, installationId: cloud.api.installationId, tenantUid: tenantId, number, rules: of });
  const changed = (text: string, ...by: (typeof first)[]): KeyLogFact => ({
    kind: 'release_rules',
    change: text,
    approvals: by.map((one) => approve(text, one)),
  });
  await log(changed(change(1, rules), first));
  await assert.rejects(keystore.release({ ...before, note: (await bring()).note }), { code: 'keystore.forged_proof' });
  await refuses('purpose_refused', await sentOf(theirs!), { ...theirs!, approvers: [first, second] });
  // Weaker by one approval alone: it changes nothing, now or later.
  await log(changed(change(2, defaultReleaseRules), first));
  await bring();
  assert.equal((await keystore.releaseRules({ tenantUid: tenantId })).changes.length, 1);
  await log(changed(change(2, defaultReleaseRules), first, second));
  await bring();
  assert.deepEqual(
    (await keystore.releaseRules({ tenantUid: tenantId })).changes.map(({ number, rules: of }) => [number, of]),
    [
      [1, rules],
      [2, defaultReleaseRules],
    ],
  );
  await refuses('purpose_refused', await sentOf(theirs!), { ...theirs!, approvers: [first, second] });
  clock.advance(24 * HOUR_MS);
  const later = { ...theirs!, request: { ...theirs!.request, expiresAt: isoAt(clock.now() + HOUR_MS) } };
  assertKeys(await tenant.release(later), readKeysOf([0, 2]));
});

test('a key that is not registered, too young or ended gives nothing, by the clock of the keystore', async () => {
  const until = { expiresAt: isoAt(clock.now() + 60 * HOUR_MS) };
  const genuine = { ...byAdmin, request: until };
  const newcomer = stranger();
  const asking: ReleasePlan = { requester: newcomer, approvers: [first], request: until };
  await refuses('unregistered_key', await sentOf(asking), genuine);
  await tenant.registerPerson(newcomer, true);
  await refuses('young_key', await sentOf(asking), genuine);
  await refuses('young_approver', await sentOf({ ...genuine, approvers: [newcomer] }), genuine);
  const [vouched, by] = [makeParty('device'), device];
  await tenant.registerDevice(vouched);
  const ofVouched: ReleasePlan = {
    requester: vouched,
    approvers: [first],
    request: until,
    leaf: { ownerSignature: null, purpose: 'admin_restore' },
  };
  await refuses('young_key', await sentOf(ofVouched), genuine);
  const named = { tenantUid: tenantId, holder: vouched.holder, publicKey: vouched.publicKey };
  const signature = signKeyVouch(named, by.sign);
  await log({
    kind: 'key_vouched',
    holder: vouched.holder,
    publicKey: vouched.publicKey,
    by: by.holder,
    byKey: by.publicKey,
    signature,
  });
  await tenant.release(ofVouched);
  clock.advance(KEY_WAIT_MS - 1);
  await refuses('young_key', await sentOf(asking), genuine);
  clock.advance(1);
  assertKeys(await tenant.release(asking), readKeysOf([0, 2]));
  const sent = await ask(asking);
  await log({ kind: 'person_key_ended', userUid: newcomer.holder.uid, publicKey: newcomer.publicKey });
  await refuses('ended_key', await bodyOf(sent), genuine);
});

test('a delay runs from when the keystore saw the leaf, and survives that it is asked again', async () => {
  const slow = await makeReleaseTenant(cloud, 'slow', server);
  clock.advance(KEY_WAIT_MS);
  const rules = { ...defaultReleaseRules, own_restore: { approvals: 0, delayHours: 48, notice: 'owner' } } as const;
  const change = formatRulesChange({
    version: 1,
    installationId: cloud.api.installationId,
    tenantUid: slow.tenantId,
    number: 1,
    rules,
  });
  await slow.log({ kind: 'release_rules', change, approvals: [approve(change, slow.first)] });
  const until = { expiresAt: isoAt(clock.now() + 100 * HOUR_MS) };
  const asked = await slow.ask({ requester: slow.device, request: until });
  const [since, opensAt] = [isoAt(clock.now()), isoAt(clock.now() + 48 * HOUR_MS)];
  assert.deepEqual(await keystore.release(await slow.bodyOf(asked)), { status: 'waiting', since, opensAt });
  clock.advance(47 * HOUR_MS);
  assert.deepEqual(await keystore.release(await slow.bodyOf(asked)), { status: 'waiting', since, opensAt });
  const late = await slow.ask({ requester: slow.device, request: until });
  const itsOwn = { status: 'waiting', since: isoAt(clock.now()), opensAt: isoAt(clock.now() + 48 * HOUR_MS) };
  assert.deepEqual(await keystore.release(await slow.bodyOf(late)), itsOwn);
  clock.advance(HOUR_MS);
  const answer = await keystore.release(await slow.bodyOf(asked));
  assert.equal(answer.status, 'granted');
  assert.deepEqual(await keystore.release(await slow.bodyOf(late)), itsOwn);
});

test('a key that is seen when others are known is not the first, in whatever piece of the log it comes', async () => {
  const two = await makeReleaseTenant(cloud, 'pieces', server);
  const later = makeParty('device');
  await two.registerDevice(later);
  await two.bring();
  const asked = {
    requester: later,
    approvers: [two.first],
    leaf: { ownerSignature: null, purpose: 'admin_restore' } as const,
  };
  const until = { expiresAt: isoAt(clock.now() + HOUR_MS) };
  await assert.rejects(keystore.release(await two.bodyOf(await two.ask({ ...asked, request: until }))), {
    code: 'keystore.young_key',
  });
  await two.release({ requester: two.device, request: until });
});
