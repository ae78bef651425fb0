import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyLogHead } from '@holdfast/contract';
import {
  appendLeaves,
  archiveHeadsRoot,
  emptyTree,
  expectOutline,
  isAbout,
  isTextOf,
  keyLogOrigin,
  openCheckpoint,
  outlineHash,
  parseVerifierKey,
  readTreeState,
  rootOf,
  subject,
  verifyConsistency,
  verifyInclusion,
  writeKeyLogLeaf,
  type KeyLogFact,
} from '@holdfast/trust';
import { startJobsRole } from '../../jobs-role.ts';
import { silentLog } from '../../platform/log.ts';
import { createMetrics } from '../../platform/metrics.ts';
import {
  clientProof,
  deviceProof,
  exampleArchive,
  forgedProof,
  makeDevice,
  makeUser,
  makeWorld,
  sendRaw,
  signInAs,
  startForFile,
  type Proof,
} from '../../testing.ts';
import { nodeSource, signHead } from '../logs/index.ts';
import { appendKeyLogLeaf, writeDailyHeads } from './index.ts';
import { append, leavesOf, read } from '../../testing/key-log-leaves.ts';

const { cluster, cloud } = await startForFile();

const signing = {
  database: cloud.database,
  kms: cloud.kms.forRole('api'),
  clock: cloud.clock,
  installationId: cloud.api.installationId,
};
const asSuperuser = (statement: string, values: readonly unknown[] = []) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);

type Seen = { readonly outline: Uint8Array; readonly body: string | undefined };

const hashes = (proof: readonly string[]) => proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')));
const keyOf = (tenantId: string) => ({ tenantId, log: 'key' }) as const;

const ending = (deviceUid: string, archiveId: string | null = null): KeyLogFact => ({
  kind: 'key_ended',
  deviceUid,
  publicKey: 'A'.repeat(43),
  archiveId,
});

async function askAs<T>(proof: Proof, path: string): Promise<T> {
  const reply = await sendRaw(cloud.url, { method: 'GET', path, headers: await proof({ method: 'GET', path }) });
  assert.equal(reply.status, 200, reply.text);
  return reply.json as T;
}

/** What a device sees of the log. */
async function seenBy(proof: Proof): Promise<readonly Seen[]> {
  const path = '/v1/key-log/own/leaves?from=0';
  const { leaves } = await askAs<{ leaves: { outline: string; body?: string }[] }>(proof, path);
  return leaves.map(({ outline, body }) => ({ outline: read(outline), body }));
}

test('the tree the database keeps is the one that follows from the leaves, and its proofs and head hold', async () => {
  const { tenant } = await makeWorld(cloud, 'tree');
  const { tenantUid: tenantId } = tenant;
  const appended = await Promise.all(
    Array.from({ length: 20 }, () => append({ cloud, tenant }, ending(crypto.randomUUID()))),
  );
  assert.deepEqual(
    appended.map(({ logIndex }) => logIndex).toSorted((a, b) => a - b),
    // The first leaf came with the tenant.
    appended.map((_, index) => index + 1),
  );
  const leaves = await leavesOf({ cloud, tenant });
  for (const { logIndex, leaf } of appended) assert.deepEqual(leaves[logIndex]?.leaf, leaf);
  for (const { outline, leaf } of leaves) expectOutline(outline, leaf);
  const all = leaves.map(({ outline }) => outlineHash(outline));
  const root = rootOf(appendLeaves(emptyTree, all).state);
  const client = cloud.clientOf(tenant);
  const { note, verifier, treeSize } = await client.keyLog.head({});
  assert.equal(treeSize, all.length);
  const origin = keyLogOrigin(cloud.api.installationId, tenantId);
  assert.deepEqual(openCheckpoint(note, origin, [parseVerifierKey(verifier)]), { origin, treeSize, root });
  for (const [logIndex, leafHash] of all.entries()) {
    const { proof } = await client.keyLog.inclusion({
      query: { logIndex: String(logIndex), treeSize: String(treeSize) },
    });
    assert.ok(verifyInclusion({ leafHash, leafIndex: logIndex, treeSize, root }, hashes(proof)));
    const query = { fromSize: String(logIndex), toSize: String(treeSize) };
    const consistency = hashes((await client.keyLog.consistency({ query })).proof);
    const fromRoot = await cloud.database.withTenant(tenantId, async (tx) =>
      rootOf(await readTreeState(nodeSource(tx, keyOf(tenantId)), logIndex)),
    );
    assert.ok(verifyConsistency({ fromSize: logIndex, fromRoot, toSize: treeSize, toRoot: root }, consistency));
  }
});

test('a proof for a size the log never had is refused, and one for each size it had is given', async () => {
  const { tenant, device } = await makeWorld(cloud, 'sizes');
  for (let count = 0; count < 3; count++) await append({ cloud, tenant }, ending(device.deviceId));
  const { keyLog } = cloud.clientOf(tenant);
  const text = (size: number) => String(size);
  for (const [logIndex, treeSize, fromSize, toSize] of [
    [0, 5, 0, 5],
    [4, 4, 4, 3],
    [9, 2, 9, 9],
  ] as const) {
    const wrong = { code: 'request.invalid' };
    const inclusion = { query: { logIndex: text(logIndex), treeSize: text(treeSize) } };
    await assert.rejects(keyLog.inclusion(inclusion), wrong);
    await assert.rejects(keyLog.consistency({ query: { fromSize: text(fromSize), toSize: text(toSize) } }), wrong);
  }
  for (const size of [1, 2, 3, 4]) {
    await keyLog.inclusion({ query: { logIndex: text(size - 1), treeSize: text(size) } });
    await keyLog.consistency({ query: { fromSize: text(size - 1), toSize: text(size) } });
  }
});

test('a log without a leaf has a signed head, too', async () => {
  // That of the installation, which has no archives and no escrow keys.
  const { installationId } = signing;
  const { treeSize, note, verifier } = await signHead(signing, { tenantId: installationId, log: 'key' });
  const origin = keyLogOrigin(installationId, installationId);
  const head = openCheckpoint(note, origin, [parseVerifierKey(verifier)]);
  assert.deepEqual([treeSize, head.root], [0, rootOf(emptyTree)]);
});

test('what is rolled back leaves no leaf and no gap', async () => {
  const { tenant, device } = await makeWorld(cloud, 'rollback');
  const { tenantUid: tenantId } = tenant;
  await append({ cloud, tenant }, ending(device.deviceId));
  const failing = cloud.database.withTenant(tenantId, async (tx) => {
    const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at: new Date() }, ending(device.deviceId));
    assert.equal(logIndex, 2);
    throw new Error('rolled back');
  });
  await assert.rejects(failing, /rolled back/);
  assert.equal((await append({ cloud, tenant }, ending(device.deviceId))).logIndex, 2);
  assert.equal((await leavesOf({ cloud, tenant })).length, 3);
});

test('the audit log and the key log of a tenant are two: the head of one never reads as that of the other', async () => {
  const { tenant, device } = await makeWorld(cloud, 'two-logs');
  await append({ cloud, tenant }, ending(device.deviceId));
  const client = cloud.clientOf(tenant);
  const { note, verifier, treeSize } = await client.keyLog.head({});
  await signHead(signing, { tenantId: tenant.tenantUid, log: 'audit' });
  const { heads } = await client.audit.heads({ query: {} });
  assert.equal(treeSize, 2);
  assert.ok(heads.length > 0 && heads.every((head) => head.treeSize > 2 && head.verifier === verifier));
  const key = [parseVerifierKey(verifier)];
  const [keys, audit] = [keyLogOrigin(signing.installationId, tenant.tenantUid), parseVerifierKey(verifier).name];
  openCheckpoint(note, keys, key);
  openCheckpoint(heads[0]?.note ?? '', audit, key);
  assert.throws(() => openCheckpoint(note, audit, key), { code: 'note.malformed' });
  assert.throws(() => openCheckpoint(heads[0]?.note ?? '', keys, key), { code: 'note.malformed' });
});

test('a device sees the tree over all leaves, and the text of those about itself, its archive and everybody alone', async () => {
  const world = await makeWorld(cloud, 'device');
  const { archiveId } = await exampleArchive(world);
  const other = await makeDevice(world, world.member.userId);
  const { device } = world;
  const own = [await append(world, ending(device.deviceId)), await append(world, ending(other.deviceId, archiveId))];
  const day: KeyLogFact = { kind: 'daily_heads', day: '2026-01-02', archives: 2, root: '0'.repeat(64) };
  const forAll = await append(world, day);
  const foreign = await append(world, ending(other.deviceId, crypto.randomUUID()));
  const all = await leavesOf(world);
  const expect = async (proof: Proof, subjects: readonly string[], shown: readonly number[]) => {
    const seen = await seenBy(proof);
    assert.deepEqual(
      seen.map(({ outline }) => outline),
      all.map(({ outline }) => outline),
    );
    const whole = seen.flatMap(({ body }, logIndex) => (body === undefined ? [] : [logIndex]));
    // What is shown is what the outlines are about, and the other way round: nothing is hidden.
    const about = seen.flatMap(({ outline }, logIndex) => (isAbout(outline, subjects) ? [logIndex] : []));
    assert.deepEqual(whole, about);
    for (const { outline, body } of seen) assert.ok(body === undefined || isTextOf(outline, body));
    for (const logIndex of shown) assert.ok(whole.includes(logIndex), `${logIndex}`);
    return whole;
  };
  const ownSubjects = [subject.device(device.deviceId), subject.archive(archiveId), subject.everyone];
  const ofOwn = await expect(await deviceProof(world, 'api'), ownSubjects, [
    ...own.map(({ logIndex }) => logIndex),
    forAll.logIndex,
  ]);
  assert.ok(!ofOwn.includes(foreign.logIndex));
  const otherSubjects = [subject.device(other.deviceId), subject.everyone];
  const proof = await deviceProof({ ...world, device: other }, 'api');
  const ofOther = await expect(proof, otherSubjects, [own[1]!.logIndex, forAll.logIndex, foreign.logIndex]);
  assert.ok(!ofOther.includes(own[0]!.logIndex));
});

test('a device follows the log by its head and proofs, and reads nothing that is for administrators', async () => {
  const world = await makeWorld(cloud, 'follows');
  for (let count = 0; count < 5; count++) await append(world, ending(crypto.randomUUID()));
  const proof = await deviceProof(world, 'api');
  const head = await askAs<KeyLogHead>(proof, '/v1/key-log/own/head');
  assert.deepEqual(head, await cloud.clientOf(world.tenant).keyLog.head({}));
  await askAs(proof, '/v1/key-log/own/consistency?fromSize=2&toSize=5');
  await askAs(proof, '/v1/key-log/own/inclusion?logIndex=2&treeSize=5');
  const { leaves } = await askAs<{ leaves: unknown[] }>(proof, '/v1/key-log/own/leaves?from=3&limit=1');
  assert.equal(leaves.length, 1);
  for (const path of ['/v1/key-log/head', '/v1/key-log/leaves', '/v1/key-log/consistency?fromSize=2&toSize=5']) {
    const reply = await sendRaw(cloud.url, { method: 'GET', path, headers: await proof({ method: 'GET', path }) });
    assert.equal(reply.status, 401, path);
  }
});

test('who may not read the key log gets nothing of it, who may gets it, and of another tenant there is nothing', async () => {
  const [ours, theirs] = [await makeWorld(cloud, 'ours'), await makeWorld(cloud, 'theirs')];
  await append(ours, ending(ours.device.deviceId));
  const orgAdmin = await makeUser(ours, { username: 'org@ours', orgId: ours.childOrgId, roleId: 'org-admin' });
  const path = '/v1/key-log/leaves';
  const ask = async (proof: Proof) => {
    const reply = await sendRaw(cloud.url, { method: 'GET', path, headers: await proof({ method: 'GET', path }) });
    return [reply.status, (reply.json as { leaves?: unknown[] }).leaves?.length] as const;
  };
  const powerless = forgedProof(ours, { kind: 'client', principalId: ours.tenant.apiClientId, scopes: [] });
  for (const proof of [(await signInAs(ours, ours.member)).proof, (await signInAs(ours, orgAdmin)).proof])
    assert.deepEqual(await ask(proof), [403, undefined]);
  assert.notEqual((await ask(powerless))[0], 200);
  assert.deepEqual(await ask((await signInAs(ours, ours.admin)).proof), [200, 2]);
  assert.deepEqual(await ask(await clientProof(ours)), [200, 2]);
  assert.deepEqual(await ask(await clientProof(theirs)), [200, 1]);
});

test('a device that came back and names its archive sees what is about that, and about no other', async () => {
  const world = await makeWorld(cloud, 'came-back');
  const [archiveId, foreign] = [crypto.randomUUID(), crypto.randomUUID()];
  const other = crypto.randomUUID();
  for (const one of [archiveId, foreign]) await append(world, ending(other, one));
  const proof = await deviceProof(world, 'api');
  const shown = async (query: string) => {
    const { leaves } = await askAs<{ leaves: { body?: string }[] }>(proof, `/v1/key-log/own/leaves?${query}`);
    return leaves.map(({ body }) => body !== undefined);
  };
  // The first is about everybody: the tenant's escrow keys.
  assert.deepEqual(await shown('from=0'), [true, false, false]);
  assert.deepEqual(await shown(`from=0&archiveId=${archiveId}`), [true, true, false]);
});

test('a page for a device ends early where texts are long, and goes on from there', async () => {
  const world = await makeWorld(cloud, 'long-texts');
  const { tenantUid } = world.tenant;
  const insert = `with texts as (
      select json_build_object('kind', 'long', 'number', number, 'pad', repeat('x', 65000))::text as body
      from generate_series(1, 70) number),
    placed as (
      insert into key_log_leaves (tenant_id, body, outline)
      select $1::uuid, body, sha256(convert_to(body, 'UTF8')) || substr(sha256('label'), 1, 16) from texts
      returning log_index)
    insert into key_log_subjects (tenant_id, subject, log_index) select $1::uuid, 'everyone', log_index from placed`;
  await asSuperuser(insert, [tenantUid]);
  const proof = await deviceProof(world, 'api');
  const read = async (from: number) => {
    const path = `/v1/key-log/own/leaves?from=${from}`;
    const { leaves } = await askAs<{ leaves: { body?: string }[] }>(proof, path);
    return leaves.map(({ body = '' }) => (JSON.parse(body) as { number: number }).number);
  };
  const first = await read(1);
  assert.equal(first.length, 65, 'four mebibytes and the leaf that is more');
  assert.deepEqual(
    [...first, ...(await read(1 + first.length))],
    Array.from({ length: 70 }, (_, index) => index + 1),
  );
});

test('once a day the heads of all archives of a tenant are one leaf, and of no other tenant', async () => {
  const [ours, theirs] = [await makeWorld(cloud, 'daily'), await makeWorld(cloud, 'daily-other')];
  const second = await makeDevice(ours, null);
  const archives = [await exampleArchive(ours), await exampleArchive({ ...ours, device: second })];
  await exampleArchive(theirs);
  const { tenantUid: tenantId } = ours.tenant;
  const write = (at: string) =>
    cloud.system.withTenant(tenantId, (tx) => writeDailyHeads(tx, { tenantId, at: new Date(at) }));
  assert.equal(await write('2026-01-02T00:00:00Z'), undefined, 'no archive has a commit yet');
  const head = { number: 7, sha256: 'ab'.repeat(32), checkpoint: 0 };
  await asSuperuser(`update archives set log_state = log_state || jsonb_build_object('head', $1::jsonb)`, [
    JSON.stringify(head),
  ]);
  const first = await write('2026-01-02T00:00:00Z');
  assert.equal(await write('2026-01-02T23:59:59Z'), undefined, 'the day has its leaf');
  const next = await write('2026-01-03T00:00:00Z');
  const heads = archives
    .map(({ archiveId }) => ({ archiveId, commitNumber: head.number, commitSha256: head.sha256 }))
    .toSorted((a, b) => (a.archiveId < b.archiveId ? -1 : 1));
  const root = archiveHeadsRoot(heads).toHex();
  for (const [appended, day] of [
    [first, '2026-01-02'],
    [next, '2026-01-03'],
  ] as const) {
    assert.ok(appended?.leaf.kind === 'daily_heads');
    assert.deepEqual([appended.leaf.day, appended.leaf.archives, appended.leaf.root], [day, 2, root]);
  }
  assert.ok((await leavesOf(theirs)).every(({ leaf }) => leaf.kind !== 'daily_heads'));
});

test('the schedule has every tenant\u2019s heads logged by one job for each', async (t) => {
  const worlds = [await makeWorld(cloud, 'scheduled'), await makeWorld(cloud, 'scheduled-too')];
  for (const world of worlds) await exampleArchive(world);
  await asSuperuser(
    `update archives set log_state = log_state || '{"head": {"number": 1, "sha256": "${'cd'.repeat(32)}"}}'`,
  );
  await asSuperuser(`insert into jobs.job (name, data) values ('key_log/everywhere', '{}')`);
  const jobs = await startJobsRole({
    target: cloud.testDatabase.target,
    password: cluster.passwords.hf_system,
    system: cloud.system,
    clock: cloud.clock,
    log: silentLog,
    metrics: createMetrics(),
    pollSeconds: 0.5,
  });
  t.after(() => jobs.stop(0));
  const daily = () =>
    Promise.all(
      worlds.map(async (world) => {
        const days = (await leavesOf(world)).flatMap(({ leaf }) =>
          leaf.kind === 'daily_heads' ? [leaf.archives] : [],
        );
        return days.join(' ');
      }),
    );
  for (let tries = 0; tries < 200 && (await daily()).includes(''); tries++) await sleep(100);
  assert.deepEqual(await daily(), ['1', '1'], 'one leaf of each, over its own archive');
});

/** Ways to falsify the key log with all rights over the database, none of which signs again. */
const falsifications: Readonly<Record<string, string>> = {
  'an altered node': `update log_nodes set hash = sha256('x') where tenant_id = $1 and log = 'key' and level = 2 and node_index = 0`,
  'a head cut short': `update log_heads set tree_size = 2, peaks = peaks[1:1] where tenant_id = $1 and log = 'key'`,
  'other peaks': `update log_heads set peaks = array(select sha256(peak) from unnest(peaks) peak) where tenant_id = $1 and log = 'key'`,
};

for (const [what, statement] of Object.entries(falsifications)) {
  test(`after ${what} the head is not signed again; before, it was`, async () => {
    const { tenant, device } = await makeWorld(cloud, `false-${what.replaceAll(/[^a-z]/g, '')}`);
    for (let count = 0; count < 5; count++) await append({ cloud, tenant }, ending(device.deviceId));
    await cloud.clientOf(tenant).keyLog.head({});
    await append({ cloud, tenant }, ending(device.deviceId));
    await cloud.clientOf(tenant).keyLog.head({});
    await asSuperuser(statement.replace('$1', `'${tenant.tenantUid}'`));
    await assert.rejects(signHead(signing, keyOf(tenant.tenantUid)), { code: 'audit.inconsistent' });
  });
}

test('a leaf gets the place that the tree gives it, and its entry has to be that of its text', async () => {
  const { tenant, device } = await makeWorld(cloud, 'placed');
  const { tenantUid: tenantId } = tenant;
  await append({ cloud, tenant }, ending(device.deviceId));
  const { leaf } = await append({ cloud, tenant }, ending(device.deviceId));
  const { text, outline } = writeKeyLogLeaf(leaf);
  const insert = (entry: Uint8Array) =>
    asSuperuser(
      'insert into key_log_leaves (tenant_id, log_index, body, outline) values ($1, 99, $2, $3) returning log_index::int',
      [tenantId, text, entry],
    );
  assert.deepEqual((await insert(outline)).rows, [{ log_index: 3 }]);
  await assert.rejects(insert(outline.with(0, outline[0]! ^ 1)), /check constraint/);
  await assert.rejects(insert(outline.subarray(0, 47)), /check constraint/);
  assert.equal((await leavesOf({ cloud, tenant })).length, 4);
});
