import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { recoverySlot } from '@holdfast/archive/testing';
import { systemRandom } from '@holdfast/base';
import type { Takeover } from '@holdfast/contract';
import {
  signTakeoverProof,
  type KeyLogFact,
  type PersonKeyRegistered,
  takeoverKeyOf,
  takeoverParameters,
  type TakeoverClaim,
  type TakeoverProof,
} from '@holdfast/trust';
import {
  base64,
  deviceProof,
  makeWorld,
  ordinalBytes,
  sendAs,
  sendRaw,
  startForFile,
  type RawReply,
  type TenantWorld,
} from '../../testing.ts';
import {
  begin,
  complete,
  endingOf,
  exampleTakeover,
  keyOf,
  signAs,
  withNewDevice,
  type ExampleTakeover,
} from '../../testing/example-takeover.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';

const { cluster, cloud } = await startForFile();
const time = { seconds: 1_780_000_000, nanoseconds: 0 };

/** `taken` with the status that is meant, else the code of the refusal. */
const codeOf = ({ status, json }: RawReply) => (status < 300 ? 'taken' : (json as { code: string }).code);
const takeoverIn = ({ json }: RawReply) => json as Takeover;

async function atStorage(world: TenantWorld, method: string, path: string, body?: object): Promise<string> {
  const proof = await deviceProof(world, 'storage');
  return codeOf(await sendAs(world, proof, { method, path, body }));
}

const openSession = ({ archive }: ExampleTakeover, world: TenantWorld) =>
  atStorage(world, 'POST', `/v1/archives/${archive.archiveId}/sessions`, { known: null });

async function readHeader({ archive }: ExampleTakeover, world: TenantWorld): Promise<string> {
  const path = `/v1/archives/${archive.archiveId}/read`;
  const proof = await deviceProof(world, 'storage');
  const headers = { ...(await proof({ method: 'POST', path })), 'content-type': 'application/octet-stream' };
  const reply = await sendRaw(cloud.url, { method: 'POST', path, headers, body: ordinalBytes([0]) });
  return reply.status === 200 ? 'taken' : (reply.json as { code: string }).code;
}

/** How many records of the archive the server has. */
async function recordsIn({ archive, next }: ExampleTakeover): Promise<number> {
  const proof = await deviceProof(next, 'storage');
  const path = `/v1/archives/${archive.archiveId}/ordinals`;
  return (await sendAs(next, proof, { method: 'GET', path })).text.length;
}

/** Adds the next keyring, with a slot for this code alone. */
async function useCode({ archive, old }: ExampleTakeover, code: Uint8Array): Promise<void> {
  const { maker } = archive;
  const parameters = takeoverParameters(takeoverKeyOf(code));
  maker.slots = [{ ...recoverySlot(maker, code), parameters }, ...maker.slots.filter(({ kind }) => kind !== 1)];
  const keyring = base64(await archive.nextKeyring());
  assert.equal(await atStorage(old, 'POST', `/v1/archives/${archive.archiveId}/keyrings`, { keyring }), 'taken');
}

function byCode({ claim }: ExampleTakeover, code: Uint8Array, changes: Partial<TakeoverClaim> = {}): TakeoverProof {
  const { publicKey, privateKey } = takeoverKeyOf(code);
  const signerKey = Buffer.from(publicKey).toString('base64url');
  const whole = claim({ kind: 'recovery_code', archiveId: null, signerKey, ...changes });
  return signTakeoverProof(whole, (message) => sign(null, message, privateKey));
}

const takeoverLeaves = async (world: TenantWorld) =>
  (await leavesOf(world)).flatMap(({ leaf }) => (leaf.kind === 'archive_takeover' ? [leaf] : []));

test('an archive is handed over by the old device: the new one reads, then writes, and the old one is told why not', async () => {
  const world = await makeWorld(cloud, 'handed');
  const scene = await exampleTakeover(world);
  const { old, next, archive, handOver } = scene;
  const append = await archive.openAppending();
  assert.equal(await append(archive.newBlock()), 'stored');
  // An enrolled device alone, as whoever has an invitation, has nothing of it.
  for (const ask of [openSession, readHeader]) assert.equal(await ask(scene, next), 'storage.not_found');

  const proof = handOver();
  const begun = takeoverIn(await begin(next, proof));
  assert.equal(begun.device.deviceUid, old.device.deviceId);
  assert.deepEqual([begun.archiveId, begun.proof, begun.completedAt], [archive.archiveId, 'hand_over', null]);
  assert.equal(await readHeader(scene, next), 'taken');
  assert.equal(await openSession(scene, next), 'storage.not_found', 'it writes only once it is done');
  assert.equal(await append(archive.newBlock()), 'stored', 'the old one goes on until then');
  const again = takeoverIn(await begin(next, proof));
  assert.deepEqual(again, { ...begun, storedBytes: again.storedBytes, modifiedAt: again.modifiedAt });

  const ending = endingOf(begun);
  const { completedAt } = takeoverIn(await complete(next, begun.takeoverUid, ending));
  assert.ok(completedAt !== null);
  // First of all, while the server has it open as the old one's.
  assert.equal(await openSession(scene, old), 'storage.taken_over');
  const stored = await recordsIn(scene);
  assert.equal(await append(archive.newBlock()), 'storage.taken_over');
  for (const ask of [openSession, readHeader]) {
    assert.equal(await ask(scene, next), 'taken');
    assert.equal(await ask(scene, old), 'storage.taken_over');
  }
  assert.equal(await recordsIn(scene), stored, 'nothing that the old one sends reaches the disk');
  assert.equal(takeoverIn(await complete(next, begun.takeoverUid, ending)).completedAt, completedAt);

  const leaves = await takeoverLeaves(world);
  assert.deepEqual(
    leaves.map(({ step }) => step),
    ['begun', 'done'],
  );
  const { archiveId } = archive;
  const facts = { archiveId, deviceUid: old.device.deviceId, newDeviceUid: next.device.deviceId, proof: 'hand_over' };
  for (const leaf of leaves) assert.deepEqual({ ...leaf, ...facts }, leaf);
  const acts = await actsOf(world);
  assert.deepEqual([...new Set(acts)].toSorted(), [
    'archive.taken_over',
    'archive.takeover_begun',
    'archive.takeover_resumed',
  ]);
});

test('a proof counts for its archive, tenant, installation, device and key, until it expires, and once', async () => {
  const world = await makeWorld(cloud, 'claims');
  const other = await makeWorld(cloud, 'claims-other');
  const scene = await exampleTakeover(world);
  const stranger = await exampleTakeover(other);
  const sibling = await exampleTakeover(world);
  const { next, old } = scene;
  const fromNow = (ms: number) => new Date(cloud.clock.now() + ms).toISOString();
  const refused: readonly (readonly [string, TakeoverProof, string])[] = [
    ['another archive', scene.handOver({ archiveId: sibling.archive.archiveId }), 'takeover.proof_refused'],
    ['an archive that nobody has', scene.handOver({ archiveId: crypto.randomUUID() }), 'takeover.proof_refused'],
    ['another device', scene.handOver({ device: sibling.old.device.deviceId }), 'takeover.proof_refused'],
    ['another tenant', scene.handOver({ tenantUid: other.tenant.tenantUid }), 'takeover.proof_refused'],
    ['another installation', scene.handOver({ installationId: crypto.randomUUID() }), 'takeover.proof_refused'],
    ['another new key', scene.handOver({ newDeviceKey: keyOf(sibling.next.device) }), 'takeover.proof_refused'],
    ['the proof of a stranger', stranger.handOver({ newDeviceKey: keyOf(next.device) }), 'takeover.proof_refused'],
    ['its own signature', scene.handOver({}, next.device), 'takeover.proof_refused'],
    ['an older device', scene.handOver({}, sibling.old.device), 'takeover.proof_refused'],
    ['expired', scene.handOver({ expiresAt: fromNow(-1) }), 'takeover.proof_expired'],
    ['far in the future', scene.handOver({ expiresAt: fromNow(2 * 86_400_000) }), 'takeover.proof_refused'],
    ['an approval of the old device', scene.handOver({ kind: 'approval' }), 'takeover.proof_refused'],
    ['forged', { ...scene.handOver(), signature: sibling.handOver().signature }, 'takeover.proof_invalid'],
    ['changed', { ...scene.handOver(), text: scene.handOver().text }, 'takeover.proof_invalid'],
  ];
  for (const [what, proof, code] of refused) assert.equal(codeOf(await begin(next, proof)), code, what);
  assert.deepEqual(await takeoverLeaves(world), []);

  const proof = scene.handOver();
  const begun = takeoverIn(await begin(next, proof));
  assert.equal(begun.archiveId, scene.archive.archiveId, 'and its genuine neighbour is taken');
  assert.equal(codeOf(await begin(sibling.next, proof)), 'takeover.proof_refused', 'another computer shows it');
  const mine = sibling.handOver();
  assert.equal(codeOf(await begin(sibling.next, mine)), 'taken');
  assert.equal(codeOf(await complete(sibling.next, begun.takeoverUid, endingOf(begun))), 'takeover.not_begun');
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun))), 'taken');

  // The archive goes on to a third computer; the second one shows its proof again.
  const third = await withNewDevice(world);
  const onward = signAs(next.device, {
    ...scene.claim({ device: next.device.deviceId, newDeviceKey: keyOf(third.device) }),
    signerKey: keyOf(next.device),
  });
  assert.equal(codeOf(await begin(old, { ...onward })), 'takeover.proof_refused');
  const last = takeoverIn(await begin(third, onward));
  assert.equal(codeOf(await complete(third, last.takeoverUid, endingOf(last))), 'taken');
  assert.equal(codeOf(await begin(next, proof)), 'takeover.proof_used');
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun))), 'takeover.proof_used');
});

test('a recovery code takes over the archive that has a slot for it now, whatever became of the old device', async () => {
  const world = await makeWorld(cloud, 'codes');
  const scene = await exampleTakeover(world);
  const sibling = await exampleTakeover(world);
  const [struck, code, elsewhere] = [systemRandom(32), systemRandom(32), systemRandom(32)];
  const { next } = scene;
  await useCode(scene, struck);
  const early = takeoverIn(await begin(next, byCode(scene, struck)));
  assert.equal(early.archiveId, scene.archive.archiveId);
  await useCode(scene, code);
  await useCode(sibling, elsewhere);
  // It was the one when it was shown, and is struck when the archive would change hands.
  const now = takeoverIn(await begin(next, byCode(scene, code)));
  assert.equal(codeOf(await complete(next, early.takeoverUid, endingOf(early))), 'takeover.proof_refused');
  assert.equal(codeOf(await complete(next, early.takeoverUid, endingOf(now))), 'takeover.proof_refused');
  const refused: readonly (readonly [string, TakeoverProof])[] = [
    ['a struck code', byCode(scene, struck)],
    ['a code of another archive', byCode(scene, elsewhere)],
    ['a code of none', byCode(scene, systemRandom(32))],
    ['the name of another computer', byCode(scene, code, { device: 'desktop' })],
  ];
  for (const [what, proof] of refused) assert.equal(codeOf(await begin(next, proof)), 'takeover.proof_refused', what);

  const { deviceId } = scene.old.device;
  await cloud.clientOf(world.tenant).devices.deauthorize({ params: { deviceUid: deviceId } });
  assert.equal(
    codeOf(await begin(next, scene.handOver())),
    'takeover.proof_refused',
    'an ended device hands nothing on',
  );
  const named = takeoverIn(await begin(next, byCode(scene, code, { device: 'laptop' })));
  assert.equal(codeOf(await complete(next, named.takeoverUid, endingOf(early))), 'takeover.keyring_changed');
  assert.equal(codeOf(await complete(next, named.takeoverUid, endingOf(named))), 'taken');
  assert.equal(
    codeOf(await begin(next, byCode(sibling, elsewhere, { newDeviceKey: keyOf(next.device) }))),
    'takeover.has_archive',
  );
});

test('a device that may restore nothing, or ended since, hands nothing on', async () => {
  const world = await makeWorld(cloud, 'ended');
  const scene = await exampleTakeover(world);
  const { next, old } = scene;
  const begun = takeoverIn(await begin(next, scene.handOver()));
  await change(old, 'blocked = true');
  assert.equal(codeOf(await begin(next, scene.handOver())), 'takeover.proof_refused');
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun))), 'takeover.proof_refused');
  await change(old, 'blocked = false');
  assert.equal(codeOf(await begin(next, scene.handOver())), 'taken');
  await cloud.clientOf(world.tenant).devices.deauthorize({ params: { deviceUid: old.device.deviceId } });
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun))), 'takeover.proof_refused');
});

test('an approval counts by a key that may approve for a day, of a person of this tenant, and as long as it has not ended', async () => {
  const world = await makeWorld(cloud, 'approved');
  const other = await makeWorld(cloud, 'approved-other');
  const scene = await exampleTakeover(world);
  const { next, claim } = scene;
  const day = 24 * 3_600_000;
  const register = async (tenant: TenantWorld, fact: Partial<PersonKeyRegistered> & { ageMs?: number }) => {
    const { ageMs = day, ...said } = fact;
    const signer = await withNewDevice(world);
    const leaf = { userUid: crypto.randomUUID(), publicKey: keyOf(signer.device), mayApprove: true, ...said };
    await say(tenant, { kind: 'person_key_registered', ...leaf }, ageMs);
    return { signer, leaf };
  };
  const approval = ({ signer }: Awaited<ReturnType<typeof register>>) =>
    signAs(signer.device, claim({ kind: 'approval', signerKey: keyOf(signer.device) }));
  const good = await register(world, {});
  const ended = await register(world, {});
  await say(world, { kind: 'person_key_ended', userUid: ended.leaf.userUid, publicKey: ended.leaf.publicKey }, 0);
  const barred = await register(world, {});
  await say(world, { kind: 'person_key_registered', ...barred.leaf, mayApprove: false }, 0);
  await say(world, { kind: 'person_key_registered', ...barred.leaf, mayApprove: true }, 0);
  const refused: readonly (readonly [string, Awaited<ReturnType<typeof register>>])[] = [
    ['a key of today', await register(world, { ageMs: day - 60_000 })],
    ['a key that may not approve', await register(world, { mayApprove: false })],
    ['a key of another tenant', await register(other, {})],
    ['a key that has ended', ended],
    ['a key that may approve again since a moment ago', barred],
  ];
  for (const [what, signer] of refused)
    assert.equal(codeOf(await begin(next, approval(signer))), 'takeover.proof_refused', what);
  const begun = takeoverIn(await begin(next, approval(good)));
  await say(world, { kind: 'person_key_ended', userUid: good.leaf.userUid, publicKey: good.leaf.publicKey }, 0);
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun))), 'takeover.proof_refused');
  const again = takeoverIn(await begin(next, approval(await register(world, {}))));
  assert.equal(codeOf(await complete(next, again.takeoverUid, endingOf(again))), 'taken');
});

/** Appends a leaf to the log of a tenant, as of some time ago. */
async function say({ tenant }: TenantWorld, fact: KeyLogFact, ageMs: number): Promise<void> {
  const { tenantUid: tenantId } = tenant;
  const at = new Date(cloud.clock.now() - ageMs);
  await cloud.database.withTenant(tenantId, (tx) => appendKeyLogLeaf(tx, { tenantId, at }, fact));
}

test('only the writer that a takeover named comes in without an introduction', async () => {
  const world = await makeWorld(cloud, 'writers');
  const scene = await exampleTakeover(world);
  const { next, archive, old } = scene;
  const { maker } = archive;
  const path = `/v1/archives/${archive.archiveId}/keyrings`;
  const send = (as: TenantWorld, keyring: Uint8Array) => atStorage(as, 'POST', path, { keyring: base64(keyring) });
  const begun = takeoverIn(await begin(next, scene.handOver()));
  maker.addWriter('recovery_code', 1, false);
  const named = maker.writers.at(-1)?.key.publicKey;
  const successor = maker.keyring(time).bytes;
  assert.equal(await send(old, successor), 'storage.keyring_refused');
  assert.equal(codeOf(await complete(next, begun.takeoverUid, endingOf(begun, named))), 'taken');
  assert.equal(await send(next, successor), 'taken');
  maker.addWriter('recovery_code', 1, false);
  assert.equal(await send(next, maker.keyring(time).bytes), 'storage.keyring_refused', 'it names one writer, not all');
});

/** What the audit log of a tenant has about archives. */
async function actsOf({ tenant }: TenantWorld): Promise<readonly string[]> {
  const statement = `select event_type from audit_entries where tenant_id = $1 and event_type like 'archive.%'`;
  const { database } = cloud.testDatabase.target;
  const { rows } = await cluster.asSuperuser(database, statement, [tenant.tenantUid]);
  return rows.map((row: { event_type: string }) => row.event_type);
}

/** Changes the device of a world past all routes. */
async function change({ device }: TenantWorld, what: string): Promise<void> {
  const { database } = cloud.testDatabase.target;
  await cluster.asSuperuser(database, `update devices set ${what} where device_id = $1`, [device.deviceId]);
}
