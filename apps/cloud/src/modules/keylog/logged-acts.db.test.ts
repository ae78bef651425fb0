import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAbout, subject } from '@holdfast/trust';
import { sql } from 'kysely';
import {
  deviceProof,
  exampleArchive,
  makeEnrollment,
  makeWorld,
  sendAs,
  sendRaw,
  startForFile,
} from '../../testing.ts';
import { append, leavesOf } from '../../testing/key-log-leaves.ts';

const { cluster, cloud } = await startForFile();

const asSuperuser = (statement: string) => cluster.asSuperuser(cloud.testDatabase.target.database, statement);

test('enrolling a device is a leaf about it, once, and a refused one is none', async () => {
  const world = await makeWorld(cloud, 'enrols');
  const before = (await leavesOf(world)).length;
  const { body } = await makeEnrollment(world);
  const enroll = (json: object) =>
    sendRaw(cloud.url, {
      method: 'POST',
      path: '/v1/devices/enroll',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(json),
    });
  const reply = await enroll(body);
  assert.equal(reply.status, 201, reply.text);
  const fromHere = async () => (await leavesOf(world)).slice(before).map(({ leaf }) => leaf);
  assert.equal((await fromHere()).length, 1);
  assert.equal((await enroll(body)).status, 201, 'again: the answer was lost');
  const again = (await makeEnrollment(world, { token: body.token })).body;
  assert.equal((await enroll(again)).status, 409, 'the invitation is used');
  const leaves = await fromHere();
  assert.equal(leaves.length, 1);
  const { deviceUid } = reply.json as { deviceUid: string };
  const { at: _, nonce: __, ...fact } = leaves[0]!;
  assert.deepEqual(fact, { kind: 'key_registered', deviceUid, publicKey: body.publicJwk.x });
});

test('deauthorising a device is a leaf about it and its archive, once', async () => {
  const world = await makeWorld(cloud, 'deauthorises');
  const { archiveId } = await exampleArchive(world);
  const { deviceId } = world.device;
  const before = (await leavesOf(world)).length;
  const { devices } = cloud.clientOf(world.tenant);
  const deauthorize = () => devices.deauthorize({ params: { deviceUid: deviceId } });
  const { tenantUid: tenantId } = world.tenant;
  const waiting = `select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  const both = await cloud.database.withTenant(tenantId, async (tx) => {
    await sql`select from devices where tenant_id = ${tenantId} and device_id = ${deviceId} for update`.execute(
      tx.withTables<object>(),
    );
    const asked = [deauthorize(), deauthorize()];
    const areBoth = async () => (await asSuperuser(waiting)).rows[0]?.['count'] === 2;
    for (let tries = 0; tries < 200 && !(await areBoth()); tries++) await sleep(20);
    assert.ok(await areBoth(), 'both wait for the device');
    return { asked };
  });
  await Promise.all(both.asked);
  await deauthorize();
  const added = (await leavesOf(world)).slice(before);
  assert.equal(added.length, 1);
  const { outline, leaf } = added[0]!;
  assert.ok(leaf.kind === 'key_ended');
  assert.deepEqual([leaf.deviceUid, leaf.archiveId, leaf.publicKey], [deviceId, archiveId, world.device.publicJwk.x]);
  for (const one of [subject.device(deviceId), subject.archive(archiveId)]) assert.ok(isAbout(outline, [one]));
});

test('every keyring of an archive is a leaf with all its slots, once, and one that is refused is none', async () => {
  const world = await makeWorld(cloud, 'keyrings');
  const archive = await exampleArchive(world);
  const proof = await deviceProof(world, 'storage');
  const path = `/v1/archives/${archive.archiveId}/keyrings`;
  const send = async (keyring: Uint8Array) => {
    const body = { keyring: Buffer.from(keyring).toString('base64') };
    return (await sendAs(world, proof, { method: 'POST', path, body })).status;
  };
  const [second, block] = [await archive.nextKeyring(), archive.newBlock(100)];
  assert.deepEqual([await send(second), await send(second)], [201, 201]);
  assert.equal(await send(block), 409);
  assert.equal(await send(new Uint8Array(200)), 409);
  const keyrings = (await leavesOf(world, archive.archiveId)).map(({ leaf }) => leaf);
  const found = keyrings.map((leaf) => leaf.kind === 'keyring_added' && [leaf.keyringNumber, leaf.keyringSha256]);
  const sha256 = async (bytes: Uint8Array) =>
    Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))).toString('hex');
  assert.equal(found.length, 2);
  assert.deepEqual(found[1], [2, await sha256(second)]);
  const third = await archive.nextKeyring();
  for (const keyring of [third, second, third, second]) assert.equal(await send(keyring), 201);
  assert.equal((await leavesOf(world, archive.archiveId)).length, 3, 'older ones that come again say nothing');
});

test('a keyring that is refused last is no leaf, and one that was announced before the server stopped is one', async () => {
  const world = await makeWorld(cloud, 'refused-keyrings');
  const { archiveId, maker } = await exampleArchive(world);
  const proof = await deviceProof(world, 'storage');
  const send = async (keyring: Uint8Array) => {
    const body = { keyring: Buffer.from(keyring).toString('base64') };
    return (await sendAs(world, proof, { method: 'POST', path: `/v1/archives/${archiveId}/keyrings`, body })).status;
  };
  const count = async () => (await leavesOf(world, archiveId)).length;
  const time = { seconds: 1_780_000_000, nanoseconds: 0 };
  const next = maker.keyring(time, [], 62).bytes;
  const before = await count();
  const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(next))).toString('hex');
  await append(world, {
    kind: 'keyring_added',
    archiveId,
    keyringNumber: 2,
    keyringSha256: sha256,
    slots: [],
  });
  assert.equal(await send(next), 201, 'with as many slots as a leaf can name');
  assert.equal(await count(), before + 1);
  maker.addWriter('state_lost', 1, true);
  assert.equal(await send(maker.keyring(time).bytes), 201, 'one that brings in a writer who is introduced');
  assert.equal(await count(), before + 2);
  maker.addWriter('state_lost', 1, false);
  const refused = [maker.keyring(time).bytes];
  for (const keyring of [...refused, ...refused, ...refused]) assert.equal(await send(keyring), 409);
  assert.equal(await count(), before + 2);
});

test('a keyring that a session brings is a leaf, too, and no way in passes the limit of slots', async () => {
  const world = await makeWorld(cloud, 'in-fragments');
  const archive = await exampleArchive(world);
  const numbers = async () =>
    (await leavesOf(world, archive.archiveId)).map(({ leaf }) => leaf.kind === 'keyring_added' && leaf.keyringNumber);
  const send = await archive.openAppending();
  const time = { seconds: 1_780_000_000, nanoseconds: 0 };
  assert.equal(await send(await archive.nextKeyring()), 'stored');
  assert.deepEqual(await numbers(), [1, 2]);
  assert.equal(await send(Buffer.concat([archive.maker.keyring(time).bytes, archive.newBlock(100)])), 'stored');
  assert.deepEqual(await numbers(), [1, 2, 3]);
  assert.equal(await send(archive.maker.keyring(time, [], 63).bytes), 'storage.record_invalid');
  assert.deepEqual(await numbers(), [1, 2, 3]);
});

test('a keyring of more slots than a leaf can name is refused and no leaf', async () => {
  const world = await makeWorld(cloud, 'many-slots');
  const { archiveId, maker } = await exampleArchive(world);
  const proof = await deviceProof(world, 'storage');
  const before = (await leavesOf(world, archiveId)).length;
  const { bytes } = maker.keyring({ seconds: 1_780_000_000, nanoseconds: 0 }, [], 63);
  const body = { keyring: Buffer.from(bytes).toString('base64') };
  const reply = await sendAs(world, proof, { method: 'POST', path: `/v1/archives/${archiveId}/keyrings`, body });
  assert.deepEqual([reply.status, (reply.json as { code: string }).code], [409, 'storage.keyring_refused']);
  assert.equal((await leavesOf(world, archiveId)).length, before);
});
