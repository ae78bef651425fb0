import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { systemClock, type Clock } from '@holdfast/base';
import type { Archive, Takeover } from '@holdfast/contract';
import { deviceProof, makeWorld, sendAs, startForFile, type TenantWorld } from '../../testing.ts';
import { begin, complete, endingOf, exampleTakeover, type ExampleTakeover } from '../../testing/example-takeover.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';

/** How long a server waits in silence for the next piece of a body: it does from the moment it awaits one. */
const SILENCE_MS = 30_000;
let awaited = Promise.withResolvers<void>();
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => {
    if (ms === SILENCE_MS) awaited.resolve();
    return systemClock.sleep(ms, signal);
  },
};
const { cloud } = await startForFile({ clock });

/** Sends a fragment of which the second half follows once `between` is done; says `stored`, or why not. */
async function sendInHalves({ old, archive }: ExampleTakeover, body: Uint8Array, between: () => Promise<unknown>) {
  const { session, nextFragment } = await archive.openSession();
  const path = `/v1/archives/${archive.archiveId}/fragments?session=${session}&sequence=${nextFragment}`;
  const proof = await deviceProof(old, 'storage');
  const length = { 'content-type': 'application/octet-stream', 'content-length': String(body.length) };
  awaited = Promise.withResolvers();
  const headers = { ...(await proof({ method: 'POST', path })), ...length };
  const sent = request(`${cloud.url}${path}`, { method: 'POST', headers, agent: false });
  const answered = new Promise<string>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      reply.on('end', () => resolve(reply.statusCode === 200 ? 'stored' : (JSON.parse(text) as { code: string }).code));
    });
  });
  sent.write(body.subarray(0, 100));
  await awaited.promise;
  await between();
  sent.end(body.subarray(100));
  return answered;
}

/** What of the archive is on the disk, as the device of a world reads it. */
async function storedFor(world: TenantWorld, { archive }: ExampleTakeover) {
  const proof = await deviceProof(world, 'storage');
  const ask = (path: string) => sendAs(world, proof, { method: 'GET', path });
  const { archives } = (await ask('/v1/archives')).json as { archives: readonly Archive[] };
  const { text } = await ask(`/v1/archives/${archive.archiveId}/ordinals`);
  return { bytesOfOrdinals: text.length, keyring: archives[0]?.keyring };
}

for (const what of ['block', 'keyring'] as const)
  test(`a ${what} that an old computer ends sending after its archive changed hands reaches no disk`, async () => {
    const world = await makeWorld(cloud, `late-${what}`);
    const scene = await exampleTakeover(world);
    const { archive, next, old } = scene;
    const make = () => (what === 'block' ? Promise.resolve(archive.newBlock()) : archive.nextKeyring());
    assert.equal(
      await sendInHalves(scene, await make(), () => Promise.resolve()),
      'stored',
      'nothing happens meanwhile',
    );

    const before = await storedFor(old, scene);
    let leaves = 0;
    const answer = await sendInHalves(scene, await make(), async () => {
      const begun = (await begin(next, scene.handOver())).json as Takeover;
      assert.equal((await complete(next, begun.takeoverUid, endingOf(begun))).status, 200);
      leaves = (await leavesOf(world)).length;
    });
    assert.equal(answer, 'storage.session_superseded');
    assert.deepEqual(await storedFor(next, scene), before);
    assert.equal((await leavesOf(world)).length, leaves, 'and nothing is said of it');
  });
