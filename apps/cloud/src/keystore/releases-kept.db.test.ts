import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bringKeystore } from '../modules/keylog/index.ts';
import type { Kms } from '../platform/kms.ts';
import { startForFile } from '../testing/test-server.ts';
import { perform } from './serve.ts';
import type { ReleasePlan } from './release-scene.fixture.ts';
import { makeReleaseTenant, openAnswer, serveReleases, type SentRelease } from '../testing/release-tenant.ts';

const { cluster, cloud } = await startForFile();
const { database: name } = cloud.testDatabase.target;
const ownKms = cloud.kms.forRole('keystore');
/** What the keystore unwrapped, and whether the database had the use of the request by then. */
const opened: (() => Promise<void>)[] = [];
const kms: Kms = {
  ...ownKms,
  async unwrap(wrapped, context) {
    for (const note of opened) await note();
    return ownKms.unwrap(wrapped, context);
  },
};
const server = await serveReleases(cloud, { kms });
const { keystore, context } = server;
const tenant = await makeReleaseTenant(cloud, 'kept', server);
const { tenantId, device, ask, bodyOf, recipient } = tenant;
const own: ReleasePlan = { requester: device };

async function rowsOf<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return (await cluster.asSuperuser(name, statement, values)).rows as Row[];
}

const usesOf = async (request: { readonly text: string }) => {
  const { requestId } = JSON.parse(request.text) as { requestId: string };
  return rowsOf('select 1 from keystore.used_requests where tenant_id = $1 and request_id = $2', [tenantId, requestId]);
};

/** The same request under two leaves, ready to be sent. */
async function twoLeaves(): Promise<readonly [SentRelease, SentRelease]> {
  const first = await ask(own);
  const second = await ask({ ...own, leaf: { request: first.request } });
  const head = await tenant.bring();
  return [await bodyOf(first, head), { ...(await bodyOf(second, head)), request: first.request }];
}

test('one request that is sent under two leaves at once is released under one, however often', async () => {
  for (let round = 0; round < 6; round++) {
    const pair = await twoLeaves();
    const sent = [...pair, ...pair, ...pair].map((body) => keystore.release(body));
    const outcomes = await Promise.allSettled(sent);
    const granted = outcomes.map(({ status }) => status === 'fulfilled');
    assert.deepEqual(granted.slice(0, 2).filter(Boolean).length, 1, 'under one of both');
    assert.deepEqual([granted.slice(2, 4), granted.slice(4, 6)], [granted.slice(0, 2), granted.slice(0, 2)]);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') assert.equal((outcome.reason as { code?: string }).code, 'keystore.used');
  }
});

test('nothing is opened before the use of its request lies in the database, and nothing where that fails', async () => {
  const asked = await ask(own);
  const uses: number[] = [];
  opened.push(async () => void uses.push((await usesOf(asked.request)).length));
  const answer = await keystore.release(await bodyOf(asked));
  opened.length = 0;
  assert.deepEqual(uses, [1]);
  openAnswer(asked, recipient, answer);
  // The transaction fails at its very end.
  await rowsOf(`create function keystore.fail_at_end() returns trigger language plpgsql as
    $$ begin raise exception 'the disk is full'; end $$`);
  await rowsOf(`create constraint trigger fails_at_end after insert on keystore.used_requests
    deferrable initially deferred for each row execute function keystore.fail_at_end()`);
  const failing = await ask(own);
  opened.push(async () => void uses.push(-1));
  await assert.rejects(keystore.release(await bodyOf(failing)), { code: 'keystore.fault' });
  await rowsOf('drop function keystore.fail_at_end() cascade');
  opened.length = 0;
  assert.deepEqual([uses, await usesOf(failing.request)], [[1], []]);
  openAnswer(failing, recipient, await keystore.release(await bodyOf(failing)));
});

test('what ends between keeping and answering loses nothing: the same leaf is answered again, another is not', async () => {
  const asked = await ask(own);
  const other = { ...(await ask({ ...own, leaf: { request: asked.request } })), request: asked.request };
  opened.push(() => Promise.reject(new Error('killed')));
  await assert.rejects(keystore.release(await bodyOf(asked)), { code: 'keystore.fault' });
  opened.length = 0;
  assert.equal((await usesOf(asked.request)).length, 1);
  await assert.rejects(keystore.release(await bodyOf(other)), { code: 'keystore.used' });
  openAnswer(asked, recipient, await keystore.release(await bodyOf(asked)));
  assert.equal((await usesOf(asked.request)).length, 1);
});

test('a piece of the log that is shown twice, or by two at once, is taken in once', async () => {
  const { followed, follow } = keystore;
  const { treeSize } = await followed({ tenantUid: tenantId });
  const pieces: Parameters<typeof follow>[0][] = [];
  const spy = { followed, follow: (piece: Parameters<typeof follow>[0]) => (pieces.push(piece), follow(piece)) };
  const newcomer = {
    holder: { kind: 'device', uid: crypto.randomUUID() },
    publicKey: 'B'.repeat(42).concat('E'),
  } as const;
  await tenant.log({ kind: 'key_registered', deviceUid: newcomer.holder.uid, publicKey: newcomer.publicKey });
  const deps = { ...tenant.deps, keystore: spy };
  await Promise.all([1, 2, 3].map(() => bringKeystore(deps, tenantId)));
  const again = await perform(context, 'follow', pieces[0]);
  assert.deepEqual(again, { treeSize: treeSize + 1, refused: [] });
  const states = await rowsOf('select 1 from keystore.key_states where tenant_id = $1 and public_key = $2', [
    tenantId,
    newcomer.publicKey,
  ]);
  assert.equal(states.length, 1);
  assert.deepEqual(await followed({ tenantUid: tenantId }), { treeSize: treeSize + 1 });
});

test('a leaf that changes nothing is said with its reason, and the log goes on behind it', async () => {
  const { followed, follow } = keystore;
  const refused: unknown[] = [];
  const spy = {
    followed,
    async follow(piece: Parameters<typeof follow>[0]) {
      const outcome = await follow(piece);
      refused.push(...outcome.refused);
      return outcome;
    },
  };
  const { holder, publicKey } = device;
  const { logIndex } = await tenant.log({ kind: 'key_registered', deviceUid: crypto.randomUUID(), publicKey });
  await tenant.log({ kind: 'key_registered', deviceUid: holder.uid, publicKey });
  await bringKeystore({ ...tenant.deps, keystore: spy }, tenantId);
  assert.deepEqual(refused, [{ logIndex, kind: 'key_registered', code: 'keystore.key_known' }]);
  await tenant.release(own);
});
