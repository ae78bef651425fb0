import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArchiveMaker, customKeySlot, escrowSlot, passwordSlot, recoverySlot } from '@holdfast/archive/testing';
import { formatUuid, systemRandom } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { hpkeKeyId, importHpkeKey } from '@holdfast/trust';
import { deviceProof, makeWorld, sendAs, startForFile, sendRaw, type TenantWorld } from '../../testing.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';

const time = { seconds: 1_780_000_000, nanoseconds: 0 };
const [logKey, keystoreKey] = [systemRandom(32), systemRandom(32)];
const keyIdOf = (privateKey: Uint8Array) => hpkeKeyId(importHpkeKey(privateKey).publicKey).toHex();
/** Devices that were given no keys when they enrolled. */
const without = new Set<string>();
const { cloud } = await startForFile({
  findEscrowKeyIds: async (_tx, { deviceId }) =>
    without.has(deviceId) ? [] : [{ outerKeyId: keyIdOf(logKey), innerKeyId: keyIdOf(keystoreKey) }],
});

type Slots = ArchiveMaker['slots'];
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** A device whose org asks for escrow so, and the keyrings that it makes. */
async function deviceWhere(slug: string, escrow: 'always' | 'required' | 'off') {
  const world = await makeWorld(cloud, slug);
  const { policies } = cloud.clientOf(world.tenant);
  const ask = async (setting: typeof escrow, revision: number) => {
    const own = { settings: { escrow: setting }, locked: [] };
    await policies.put({ params: { orgGuid: world.rootOrgId }, body: { own, revision } });
  };
  await ask(escrow, 0);
  const maker = new ArchiveMaker(slug, systemRandom(32));
  maker.addEpoch(time);
  const none = maker.slots;
  const slots: Readonly<Record<string, Slots>> = {
    'a recovery code': none,
    escrow: [...none, escrowSlot(maker, { logKey, keystoreKey })],
    'escrow for others': [...none, escrowSlot(maker, { logKey: systemRandom(32), keystoreKey })],
    'escrow of another keystore': [...none, escrowSlot(maker, { logKey, keystoreKey: systemRandom(32) })],
    'an archive key password': [...none, passwordSlot(maker, 'pass word of the test', [19_456, 1, 1])],
    'a custom key': [...none, customKeySlot(maker, systemRandom(32))],
    'a second recovery code': [...none, recoverySlot(maker, systemRandom(32))],
  };
  const keyring = (name: string) => {
    maker.slots = slots[name]!;
    return maker.keyring(time).bytes;
  };
  return { world, maker, keyring, ask, header: maker.records[0]!.bytes };
}

type Device = Awaited<ReturnType<typeof deviceWhere>>;

/** Begins the archive with these keyrings; says `taken`, or why not. */
async function begin({ world, header }: Device, keyrings: readonly Uint8Array[]): Promise<string> {
  const [keyring, ...more] = keyrings.map(base64);
  const body = { header: base64(header), keyring, ...(more.length > 0 && { more }) };
  const proof = await deviceProof(world, 'storage');
  const reply = await sendAs(world, proof, { method: 'POST', path: storageRoutes.create.path, body });
  return reply.status === 201 ? 'taken' : (reply.json as { code: string }).code;
}

async function add({ world, maker }: Device, keyring: Uint8Array): Promise<string> {
  const path = storageRoutes.addKeyring.path.replace(':archiveId', formatUuid(maker.archiveId));
  const proof = await deviceProof(world, 'storage');
  const reply = await sendAs(world, proof, { method: 'POST', path, body: { keyring: base64(keyring) } });
  return reply.status === 201 ? 'taken' : (reply.json as { code: string }).code;
}

/** Sends a fragment of a session of its own. */
async function append({ world, maker }: Device, fragment: Uint8Array): Promise<string> {
  const proof = await deviceProof(world, 'storage');
  const at = `/v1/archives/${formatUuid(maker.archiveId)}`;
  const opened = await sendAs(world, proof, { method: 'POST', path: `${at}/sessions`, body: { known: null } });
  const { session, nextFragment } = opened.json as { session: number; nextFragment: number };
  const path = `${at}/fragments?session=${session}&sequence=${nextFragment}`;
  const headers = { ...(await proof({ method: 'POST', path })), 'content-type': 'application/octet-stream' };
  const reply = await sendRaw(cloud.url, { method: 'POST', path, headers, body: fragment });
  return reply.status === 200 ? 'taken' : (reply.json as { code: string }).code;
}

async function loggedKeyrings(world: TenantWorld): Promise<readonly number[]> {
  const leaves = (await leavesOf(world)).map(({ leaf }) => leaf as { kind: string; keyringNumber?: number });
  return leaves.flatMap(({ kind, keyringNumber }) => (kind === 'keyring_added' ? [keyringNumber!] : []));
}

const lacks = 'storage.keyring_lacks_escrow';
const taken: Readonly<Record<'always' | 'required' | 'off', readonly string[]>> = {
  off: ['a recovery code', 'escrow', 'escrow for others', 'an archive key password', 'a custom key'],
  required: ['escrow', 'an archive key password', 'a custom key'],
  always: ['escrow'],
};
const all = [...taken.off, 'escrow of another keystore', 'a second recovery code'];

for (const escrow of ['off', 'required', 'always'] as const) {
  test(`where escrow is ${escrow}, the next keyring is taken with the slots that the policy asks for and no others`, async () => {
    const device = await deviceWhere(`next-${escrow}`, escrow);
    assert.equal(await begin(device, [device.keyring('escrow')]), 'taken');
    // By its own request, and in a fragment: what was refused before does not follow any more.
    for (const [way, send] of Object.entries({ add, append })) {
      for (const name of all) {
        const isTaken = escrow === 'off' || taken[escrow].includes(name);
        const before = device.maker.keyringNumber;
        const said = await loggedKeyrings(device.world);
        assert.equal(await send(device, device.keyring(name)), isTaken ? 'taken' : lacks, `${name} by ${way}`);
        const number = before + 1;
        const now = await loggedKeyrings(device.world);
        assert.deepEqual(now, isTaken ? [...said, number] : said, 'a leaf for what is taken, and none for what is not');
        if (!isTaken) device.maker.takeBackKeyring();
      }
    }
  });
}

test('an archive begins with keyrings of which the last is what the policy asks for', async () => {
  const later = await deviceWhere('begins-later', 'required');
  const [first, second] = [later.keyring('a recovery code'), later.keyring('escrow')];
  assert.equal(await begin(later, [first]), lacks);
  assert.deepEqual(await loggedKeyrings(later.world), []);
  assert.equal(await begin(later, [first, second]), 'taken', 'the same archive: what was refused has spoilt nothing');
  assert.deepEqual(await loggedKeyrings(later.world), [1, 2]);
  assert.equal(await begin(later, [first, second]), 'taken', 'again: the answer was lost');
  assert.deepEqual(await loggedKeyrings(later.world), [1, 2]);
  const struck = await deviceWhere('begins-struck', 'required');
  const keyrings = [struck.keyring('escrow'), struck.keyring('a recovery code')];
  assert.equal(await begin(struck, keyrings), lacks);
});

test('a fragment with several keyrings is judged by the last', async () => {
  const device = await deviceWhere('several', 'required');
  assert.equal(await begin(device, [device.keyring('escrow')]), 'taken');
  const [second, third] = [device.keyring('a recovery code'), device.keyring('escrow')];
  assert.equal(await append(device, second), lacks);
  assert.equal(await append(device, Buffer.concat([second, third])), 'taken');
  assert.deepEqual(await loggedKeyrings(device.world), [1, 2, 3]);
});

test('keyrings that are there are not judged again, and nothing is demanded of a device that was given no keys', async () => {
  const device = await deviceWhere('stays', 'off');
  const keyring = device.keyring('a recovery code');
  assert.equal(await begin(device, [keyring]), 'taken');
  await device.ask('required', 1);
  assert.equal(await begin(device, [keyring]), 'taken', 'again: the answer was lost');
  assert.equal(await append(device, keyring), 'taken');
  const next = device.keyring('a recovery code');
  assert.equal(await add(device, next), lacks);
  without.add(device.world.device.deviceId);
  assert.equal(await add(device, next), 'taken');
});
