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

const { cloud } = await startForFile();

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
