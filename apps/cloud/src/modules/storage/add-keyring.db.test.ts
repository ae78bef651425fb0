import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArchiveMaker, escrowSlot } from '@holdfast/archive/testing';
import { systemRandom } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { deviceProof, escrowKeysOf, exampleArchive, makeWorld, sendAs, startForFile } from '../../testing.ts';

const { cloud } = await startForFile();

const time = { seconds: 1_780_000_000, nanoseconds: 0 };

test('a keyring is taken as one, and nothing else that would pass by quota and session', async () => {
  const world = await makeWorld(cloud, 'keyring-only');
  const archive = await exampleArchive(world);
  const own = { settings: { archiveQuotaBytes: 10_000 }, locked: [] };
  await cloud.clientOf(world.tenant).policies.put({ params: { orgGuid: world.rootOrgId }, body: { own, revision: 0 } });
  const proof = await deviceProof(world, 'storage');
  const path = storageRoutes.addKeyring.path.replace(':archiveId', archive.archiveId);
  const send = async (bytes: Uint8Array) => {
    const reply = await sendAs(world, proof, {
      method: 'POST',
      path,
      body: { keyring: Buffer.from(bytes).toString('base64') },
    });
    return reply.status === 201 ? 'taken' : (reply.json as { code: string }).code;
  };
  const keyring = await archive.nextKeyring();
  const refused = [archive.newBlock(60_000), Buffer.concat([keyring, archive.newBlock(1_000)]), new Uint8Array(200)];
  for (const bytes of refused) assert.equal(await send(bytes), 'storage.keyring_refused');
  assert.equal(await send(keyring), 'taken');
  assert.equal(await send(keyring), 'taken', 'again: the answer was lost');
  assert.equal(await send(await archive.nextKeyring()), 'taken');
  const append = await archive.openAppending();
  assert.equal(await append(archive.newBlock(1_000)), 'stored', 'by a session, within the quota');
  assert.equal(await append(archive.newBlock(60_000)), 'storage.quota_exceeded');
});

test('an archive begins with one header and one keyring, and not with what hangs on to them', async () => {
  const world = await makeWorld(cloud, 'beginning-only');
  const proof = await deviceProof(world, 'storage');
  const maker = new ArchiveMaker('beginning', systemRandom(32));
  maker.addEpoch(time);
  maker.slots = [...maker.slots, escrowSlot(maker, await escrowKeysOf(world))];
  const keyring = maker.keyring(time).bytes;
  const header = maker.records[0]!.bytes;
  maker.store('block', systemRandom(1_000));
  const block = maker.records.at(-1)?.bytes ?? new Uint8Array();
  const begin = async (first: Uint8Array, second: Uint8Array) => {
    const body = { header: Buffer.from(first).toString('base64'), keyring: Buffer.from(second).toString('base64') };
    const reply = await sendAs(world, proof, { method: 'POST', path: storageRoutes.create.path, body });
    return reply.status === 201 ? 'begun' : (reply.json as { code: string }).code;
  };
  const withMore = (record: Uint8Array) => Buffer.concat([record, block]);
  for (const [first, second] of [
    [withMore(header), keyring],
    [header, withMore(keyring)],
    [header, block],
    [keyring, header],
  ] as const) {
    assert.equal(await begin(first, second), 'storage.header_invalid');
  }
  assert.equal(await begin(header, keyring), 'begun');
  assert.equal(await begin(header, keyring), 'begun', 'again: the answer was lost');
});
