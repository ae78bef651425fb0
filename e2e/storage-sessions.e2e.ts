import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CloudDestination, type CloudSessionFacts } from '@holdfast/agent/cloud';
import { judgeSession, type CommitName } from '@holdfast/archive';
import { CodedError, formatUuid } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { ExampleLog, joined, sha256Of, withCrc, type Commit } from './example-log.ts';
import { enrollDevice, startRunningCloud, type EnrolledDevice } from './running-cloud.ts';

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

async function newDevice(t: TestContext) {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const device = await enrollDevice(t, tenant);
  return { running, tenant, device, log: new ExampleLog(device.enrollment.escrowKeys) };
}

function open(device: EnrolledDevice, log: ExampleLog, known?: CommitName, more: Partial<CloudSessionFacts> = {}) {
  const { archiveId, keyRecords } = log;
  return CloudDestination.open(device.client, { archiveId, keyRecords, known, ...more });
}

/** Sends one fragment as itself, without the destination's own resending and counting. */
function sendFragment(
  device: EnrolledDevice,
  log: ExampleLog,
  place: readonly [session: number, sequence: number],
  bytes: Uint8Array,
) {
  return device.client.call(storageRoutes.append, {
    params: { archiveId: formatUuid(log.archiveId) },
    query: { session: String(place[0]), sequence: String(place[1]) },
    stream: new Uint8Array(bytes),
  });
}

async function readAll(session: CloudDestination, ordinals: readonly number[]): Promise<Map<string, number>> {
  const read = new Map<string, number>();
  for await (const record of session.read(ordinals)) read.set(sha256Of(record), record.length);
  return read;
}

test('what is appended is read back by ordinal and listed, and a session goes on where the last one ended', async (t) => {
  const { device, log } = await newDevice(t);
  const first = await open(device, log);
  assert.deepEqual([first.head, first.keyringNumber, first.opened.comparison], [undefined, 1, 'same']);
  const blocks = Array.from({ length: 40 }, () => log.block(60_000));
  const commit = await log.commit();
  const receipts: number[] = [];
  const session = await open(device, log, undefined, { onReceipt: ({ claims }) => receipts.push(claims.fragment) });
  const sent = blocks.map((block) => session.append(block.bytes));
  await Promise.all([...sent, session.append(commit.bytes)]);
  assert.deepEqual(
    receipts,
    Array.from({ length: 41 }, (_, index) => session.opened.nextFragment + index),
  );
  const ordinals = blocks.map(({ ordinal }) => ordinal);
  const read = await readAll(session, [...ordinals, 2 ** 40 + 7]);
  assert.deepEqual([...read.keys()].toSorted(), blocks.map(({ bytes }) => sha256Of(bytes)).toSorted());
  const listed: number[] = [];
  for await (const { ordinal } of session.list(3)) listed.push(ordinal);
  assert.deepEqual(listed, ordinals);
  const next = await open(device, log, commit.name);
  assert.deepEqual(next.head, commit.name);
  assert.equal(next.opened.comparison, 'same');
  assert.equal(next.opened.nextFragment, session.opened.nextFragment + 41);
  assert.equal(await next.highestSequence(0), commit.ordinal);
  assert.equal(await next.highestSequence(7), undefined);
});

test('the newest session wins: an older one is fenced off, also for what it had under way', async (t) => {
  const { device, log } = await newDevice(t);
  const older = await open(device, log);
  await older.append(log.block().bytes);
  const newer = await open(device, log);
  const lost = log.block();
  assert.equal(await codeOf(older.append(lost.bytes)), 'storage.session_superseded');
  assert.equal(await codeOf(older.append(log.block().bytes)), 'cloud_link.session_ended');
  await newer.append(log.block().bytes);
  assert.equal((await readAll(newer, [lost.ordinal])).size, 0);
});

test('a fragment may come again, before the one before it, and not with other bytes or far ahead', async (t) => {
  const { device, log } = await newDevice(t);
  const before = await open(device, log);
  const { opened } = await open(device, log);
  const { session, nextFragment: first } = opened;
  const [a, b, c] = [log.block().bytes, log.block().bytes, log.block().bytes];
  const late = sendFragment(device, log, [session, first + 2], c);
  const middle = sendFragment(device, log, [session, first + 1], b);
  assert.equal((await sendFragment(device, log, [session, first], a)).nextFragment, first + 1);
  assert.equal((await middle).nextFragment, first + 2);
  assert.equal((await late).nextFragment, first + 3);
  assert.equal((await sendFragment(device, log, [session, first + 1], b)).nextFragment, first + 2);
  const differs = sendFragment(device, log, [session, first + 1], log.block().bytes);
  assert.equal(await codeOf(differs), 'storage.fragment_differs');
  const ahead = sendFragment(device, log, [session, first + 11], log.block().bytes);
  assert.equal(await codeOf(ahead), 'storage.fragment_order');
  const stale = sendFragment(device, log, [before.opened.session, first + 3], log.block().bytes);
  assert.equal(await codeOf(stale), 'storage.session_superseded');
  await sendFragment(device, log, [session, first + 3], log.block().bytes);
});

test('a gap is told to those behind it once their patience ends, and closing it lets them in', async (t) => {
  const { device, log } = await newDevice(t);
  const { opened } = await open(device, log);
  const { session, nextFragment: first } = opened;
  const behind = log.block().bytes;
  const begun = performance.now();
  const waited = await sendFragment(device, log, [session, first + 1], behind).catch((error: unknown) => error);
  assert.ok(waited instanceof CodedError && waited.code === 'storage.fragment_order', String(waited));
  assert.equal(waited.details['nextFragment'], first);
  assert.ok(performance.now() - begun < 20_000);
  await sendFragment(device, log, [session, first], log.block().bytes);
  await sendFragment(device, log, [session, first + 1], behind);
});

test('a commit that does not follow the head, or is signed by another, is refused; the right one is taken', async (t) => {
  const { device, log } = await newDevice(t);
  const session = await open(device, log);
  const first = await log.commit();
  await session.append(joined(log.block(), first));
  const second = await log.commit();
  const third = await log.commit();
  const forged = Buffer.from(second.bytes);
  forged[forged.length - 1]! ^= 1;
  const attempts: readonly (readonly [string, Uint8Array, string])[] = [
    ['one left out', third.bytes, 'storage.record_refused'],
    ['a wrong signature', withCrc(forged), 'storage.record_refused'],
    ['a wrong checksum', forged, 'storage.record_invalid'],
    ['half a record', second.bytes.subarray(0, 90), 'storage.record_invalid'],
    ['bytes that are none', Buffer.alloc(100, 7), 'storage.record_invalid'],
  ];
  for (const [about, bytes, code] of attempts) {
    const { opened } = await open(device, log, first.name);
    const sent = sendFragment(device, log, [opened.session, opened.nextFragment], bytes);
    assert.equal(await codeOf(sent), code, about);
  }
  const { opened } = await open(device, log, first.name);
  const good = await sendFragment(device, log, [opened.session, opened.nextFragment], joined(second, third));
  assert.deepEqual(good.head, third.name);
});

test('a known ordinal with other bytes is refused, with the same bytes it is taken', async (t) => {
  const { device, log } = await newDevice(t);
  const session = await open(device, log);
  const block = log.block();
  await session.append(block.bytes);
  const other = Buffer.from(block.bytes);
  other[100]! ^= 0xff;
  const next = await open(device, log);
  assert.equal(await codeOf(next.append(withCrc(other))), 'storage.ordinal_known');
  const again = await open(device, log);
  await again.append(block.bytes);
  await again.append(joined(block, log.block()));
  assert.deepEqual([...(await readAll(again, [block.ordinal])).keys()], [sha256Of(block.bytes)]);
});

test('a machine that lost an answer takes its head up; one that was cloned or rolled back finds a head not its own', async (t) => {
  const { device, log } = await newDevice(t);
  const session = await open(device, log);
  const commits: Commit[] = [];
  for (let number = 1; number <= 3; number++) {
    commits.push(await log.commit());
    await session.append((commits.at(-1) ?? assert.fail()).bytes);
  }
  const [first, second, third] = commits;
  const own = (number: number) => commits[number - 1]?.name.sha256;
  const lostAnswer = await open(device, log, second!.name);
  assert.equal(lostAnswer.opened.comparison, 'ahead');
  const takeUp = { status: 'take_up', head: third!.name };
  assert.deepEqual(judgeSession(lostAnswer.head, second!.name, own), takeUp);
  // Rolled back to the first commit: what came after it is not its own.
  const rolledBack = await open(device, log, first!.name);
  const onlyFirst = (number: number) => (number === 1 ? own(1) : undefined);
  assert.equal(judgeSession(rolledBack.head, first!.name, onlyFirst).status, 'new_writer');
  const beside = { number: 3, sha256: 'f'.repeat(64) };
  assert.equal((await open(device, log, beside)).opened.comparison, 'differs');
  const ahead = { number: 9, sha256: 'f'.repeat(64) };
  assert.equal((await open(device, log, ahead)).opened.comparison, 'behind');
});

test('a new writer comes in by the next keyring, introduced by one who was there, and the older writer ends', async (t) => {
  const { device, log } = await newDevice(t);
  const session = await open(device, log);
  const first = await log.commit();
  await session.append(first.bytes);
  const params = { archiveId: formatUuid(log.archiveId) };
  const add = (record: Uint8Array) =>
    device.client.call(storageRoutes.addKeyring, { params, body: { keyring: Buffer.from(record).toString('base64') } });
  const stranger = (await log.clone()).newWriter(2, false);
  assert.equal(await codeOf(add(stranger)), 'storage.keyring_refused', 'not introduced');
  const tooEarly = (await log.clone()).newWriter(1);
  assert.equal(await codeOf(add(tooEarly)), 'storage.keyring_refused', 'would sign a commit that is there');
  const commitOfOld = await (await log.clone()).commit();
  const keyring = log.newWriter(2);
  assert.equal((await add(keyring)).keyring?.number, 2);
  assert.equal((await add(keyring)).keyring?.number, 2, 'again changes nothing');
  const stale = (await log.clone(1)).newWriter(2);
  assert.equal(await codeOf(add(stale)), 'storage.ordinal_known', 'the number is taken, and so is its place');
  const next = await open(device, log, first.name);
  assert.equal(next.keyringNumber, 2);
  assert.equal(await codeOf(next.append(commitOfOld.bytes)), 'storage.record_refused', 'the older writer has ended');
  const last = await open(device, log, first.name);
  await last.append((await log.commit()).bytes);
});

test('over the quota blocks are refused and commits are taken; a legal hold lifts it', async (t) => {
  const { device, log, tenant, running } = await newDevice(t);
  const session = await open(device, log);
  await session.append(log.block(60_000).bytes);
  const { client } = tenant;
  const { orgs } = await client.orgs.list({ query: {} });
  const params = { orgGuid: orgs[0]!.orgGuid };
  const { revision } = await client.policies.get({ params });
  const own = { settings: { archiveQuotaBytes: 150_000 }, locked: [] };
  await client.policies.put({ params, body: { own, revision } });
  const limited = await open(device, log);
  await limited.append(log.block(60_000).bytes);
  const tooMuch = log.block(60_000);
  assert.equal(await codeOf(limited.append(tooMuch.bytes)), 'storage.quota_exceeded');
  const again = await open(device, log);
  const commit = await log.commit();
  await again.append(commit.bytes);
  const archiveId = formatUuid(log.archiveId);
  await running.cloud.api.deps.database.withTenant(tenant.tenantUid, async (tx) => {
    const holds = tx.withTables<{ holds: Record<string, unknown> }>();
    const hold = { tenant_id: tenant.tenantUid, hold_id: crypto.randomUUID(), archive_id: archiveId };
    await holds
      .insertInto('holds')
      .values({ ...hold, reason: 'matter', placed_by: 'legal', placed_at: new Date() })
      .execute();
  });
  const held = await open(device, log, commit.name);
  await held.append(tooMuch.bytes);
});

test('an ordinal index that was deleted is made again from the segments', async (t) => {
  const { device, log, running } = await newDevice(t);
  const session = await open(device, log);
  const blocks = Array.from({ length: 20 }, () => log.block());
  await session.append(joined(...blocks));
  await running.stop();
  const blobs = path.join(running.homeDir, 'blobs');
  const folders = readdirSync(blobs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('/index'));
  assert.equal(folders.length, 1);
  rmSync(path.join(blobs, folders[0]!), { recursive: true });
  const { port } = new URL(device.enrollment.url);
  await startRunningCloud(t, { homeDir: running.homeDir, port: Number(port) });
  const next = await open(device, log);
  const read = await readAll(
    next,
    blocks.map(({ ordinal }) => ordinal),
  );
  assert.equal(read.size, 20);
  assert.equal(await codeOf(next.append(blocks[0]!.bytes)), 'no error');
});
