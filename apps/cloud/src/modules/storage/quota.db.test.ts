import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LivePart } from '@holdfast/archive/log';
import {
  deviceProof,
  exampleArchive,
  makeWorld,
  sendAs,
  startForFile,
  type ExampleArchive,
  type TenantWorld,
} from '../../testing.ts';

const { cluster, cloud } = await startForFile();

const time = { seconds: 1_780_000_000, nanoseconds: 0 };
type Range = LivePart['ranges'][number];

/** Which of the writer's records from `first` on are needed, a truth value for each. */
function range(first: number, needed: readonly boolean[]): Range {
  const packed = new Uint8Array(Math.ceil(needed.length / 8));
  for (const [i, isNeeded] of needed.entries()) if (isNeeded) packed[i >> 3]! |= 1 << (i & 7);
  return { writer: 0, first, last: first + needed.length - 1, form: 'bitmap', packed };
}

/** The records that `make` has the device make. */
async function made(archive: ExampleArchive, make: () => unknown): Promise<readonly Uint8Array[]> {
  const from = archive.maker.records.length;
  await make();
  return archive.maker.records.slice(from).map(({ bytes }) => bytes);
}

async function countedBytes(world: TenantWorld): Promise<number> {
  const proof = await deviceProof(world, 'storage');
  const { json } = await sendAs(world, proof, { method: 'GET', path: '/v1/archives' });
  return (json as { archives: { storedBytes: number }[] }).archives[0]!.storedBytes;
}

async function limit(world: TenantWorld, archiveQuotaBytes: number): Promise<void> {
  const { policies } = cloud.clientOf(world.tenant);
  const own = { settings: { archiveQuotaBytes }, locked: [] };
  await policies.put({ params: { orgGuid: world.rootOrgId }, body: { own, revision: 0 } });
}

/** An archive with ten blocks (sequences 2 to 11) and the commit that lets a live set follow. */
async function filledArchive(world: TenantWorld) {
  const archive = await exampleArchive(world);
  const append = await archive.openAppending();
  const blocks = await made(archive, () => Array.from({ length: 10 }, () => archive.newBlock(20_000)));
  assert.equal(await append(Buffer.concat(blocks)), 'stored');
  const commit = await archive.maker.commit({ time });
  const record = archive.maker.records.at(-1)?.bytes ?? new Uint8Array();
  assert.equal(await append(record), 'stored');
  return { archive, append, blocks, commit };
}

test('the quota counts what the newest live set names and what came after it', async () => {
  const world = await makeWorld(cloud, 'live');
  const { archive, append, blocks, commit } = await filledArchive(world);
  const all = await countedBytes(world);
  await limit(world, all + 30_000);
  const again = await archive.openAppending();
  const [one, two] = [archive.newBlock(20_000), archive.newBlock(20_000)];
  assert.equal(await again(one), 'stored');
  assert.equal(await again(two), 'storage.quota_exceeded');
  // The first four are let go, the fifth is named, the others are outside the range.
  const live = await made(archive, () => archive.maker.live(commit, [[range(2, [false, false, false, false, true])]]));
  assert.equal(await again(live[0]!), 'stored', 'over the quota it is taken all the same');
  assert.equal(await again(two), 'stored', 'at once: there is room again');
  const sizes = (records: readonly Uint8Array[]) => records.reduce((sum, { length }) => sum + length, 0);
  const expected = all + sizes([one, two, ...live]) - sizes(blocks.slice(0, 4));
  assert.equal(await countedBytes(world), expected);
  assert.equal(await append(one), 'storage.session_superseded');
});

test('a set of several parts counts once all are there, in any order, and a newer one replaces it', async () => {
  const world = await makeWorld(cloud, 'parts');
  const { archive, append, blocks, commit } = await filledArchive(world);
  const before = await countedBytes(world);
  const size = (from: number, to: number) => blocks.slice(from, to).reduce((sum, { length }) => sum + length, 0);
  const no = (count: number) => Array.from({ length: count }, () => false);
  const [first, second] = await made(archive, () => archive.maker.live(commit, [[range(2, no(3))], [range(5, no(2))]]));
  assert.equal(await append(second!), 'stored');
  assert.equal(await countedBytes(world), before + second!.length, 'half a set lets nothing go');
  assert.equal(await append(first!), 'stored');
  const parts = first!.length + second!.length;
  assert.equal(await countedBytes(world), before + parts - size(0, 5));
  const [newer] = await made(archive, () => archive.maker.live(commit, [[range(2, [true, false, true])]]));
  assert.equal(await append(newer!), 'stored');
  assert.equal(await countedBytes(world), before + parts + newer!.length - size(1, 2));
});

test('what a live set lets go is known again after the server has closed the archive, noted or counted anew', async () => {
  const world = await makeWorld(cloud, 'reopened');
  const { archive, append, commit } = await filledArchive(world);
  const [live] = await made(archive, () => archive.maker.live(commit, [[range(2, [false, true, false])]]));
  assert.equal(await append(live!), 'stored');
  const counted = await countedBytes(world);
  assert.equal(await append(archive.newBlock(1_000)), 'stored');
  const noted = await countedBytes(world);
  assert.ok(noted > counted);
  const row = async () =>
    (
      await cluster.asSuperuser(
        cloud.testDatabase.target.database,
        'select let_go, stored_bytes::int as bytes from archives where archive_id = $1',
        [archive.archiveId],
      )
    ).rows[0] as { let_go: { number: number; bytes: number } | null; bytes: number };
  const { let_go: letGo, bytes } = await row();
  assert.deepEqual([letGo?.number, bytes], [1, noted]);
  await cloud.storage.close();
  assert.equal(await countedBytes(world), noted);
  await cloud.storage.close();
  const forget = 'update archives set let_go = null where archive_id = $1';
  await cluster.asSuperuser(cloud.testDatabase.target.database, forget, [archive.archiveId]);
  assert.equal(await countedBytes(world), noted);
});
