import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Takeover } from '@holdfast/contract';
import { deviceProof, makeWorld, ordinalBytes, sendRaw, startForFile, type TenantWorld } from '../../testing.ts';
import {
  begin,
  complete,
  endingOf,
  exampleTakeover,
  keyOf,
  withNewDevice,
  type ExampleTakeover,
} from '../../testing/example-takeover.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';

const { cluster, cloud } = await startForFile();

async function readHeader({ archive }: ExampleTakeover, world: TenantWorld): Promise<string> {
  const path = `/v1/archives/${archive.archiveId}/read`;
  const proof = await deviceProof(world, 'storage');
  const headers = { ...(await proof({ method: 'POST', path })), 'content-type': 'application/octet-stream' };
  const reply = await sendRaw(cloud.url, { method: 'POST', path, headers, body: ordinalBytes([0]) });
  return reply.status === 200 ? 'taken' : (reply.json as { code: string }).code;
}

test('who may take an archive over reads it no more once a third device has it', async () => {
  const world = await makeWorld(cloud, 'outlived');
  const scene = await exampleTakeover(world);
  const third = await withNewDevice(world);
  assert.equal((await begin(scene.next, scene.handOver())).status, 201);
  const begun = (await begin(third, scene.handOver({ newDeviceKey: keyOf(third.device) }))).json as Takeover;
  for (const reader of [scene.old, scene.next, third]) assert.equal(await readHeader(scene, reader), 'taken');
  assert.equal((await complete(third, begun.takeoverUid, endingOf(begun))).status, 200);
  assert.equal(await readHeader(scene, third), 'taken');
  assert.equal(await readHeader(scene, scene.next), 'storage.not_found');
  assert.equal(await readHeader(scene, scene.old), 'storage.taken_over');
});

test('a device begins so many takeovers of an archive in a day, and the same one again as often as it likes', async () => {
  const world = await makeWorld(cloud, 'begun-often');
  const scene = await exampleTakeover(world);
  const { next } = scene;
  const first = scene.handOver();
  assert.equal((await begin(next, first)).status, 201);
  for (let count = 1; count < 32; count++) assert.equal((await begin(next, scene.handOver())).status, 201);
  const leaves = (await leavesOf(world)).length;
  const refused = await begin(next, scene.handOver());
  assert.equal((refused.json as { code: string }).code, 'takeover.too_many');
  assert.equal((await begin(next, first)).status, 201);
  assert.equal((await leavesOf(world)).length, leaves);
  const other = await withNewDevice(world);
  assert.equal((await begin(other, scene.handOver({ newDeviceKey: keyOf(other.device) }))).status, 201);
  const { database } = cloud.testDatabase.target;
  const statement = `update takeovers set begun_at = begun_at - interval '1 day' where new_device_id = $1`;
  await cluster.asSuperuser(database, statement, [next.device.deviceId]);
  assert.equal((await begin(next, scene.handOver())).status, 201);
});
