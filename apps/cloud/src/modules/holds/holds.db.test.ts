import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '@holdfast/contract';
import type { AuditEvent, TxContext } from '../../platform/context.ts';
import { exampleArchive, makeDevice, makeUser, makeWorld, startForFile, type TenantWorld } from '../../testing.ts';
import { writeAudit } from '../audit/index.ts';
import { readGrants } from '../identity/index.ts';
import { deviceOfArchive } from '../storage/index.ts';
import { isHeld, placeHold, releaseHold } from './index.ts';

const { cloud } = await startForFile();

const deps = { deviceOfArchive };

/** Runs `work` as a user of the tenant, with what the roles of that user allow. */
function as<T>({ tenant }: TenantWorld, userId: string, work: (ctx: TxContext) => Promise<T>): Promise<T> {
  const { tenantUid: tenantId } = tenant;
  const now = new Date(cloud.clock.now());
  const source = { ipAddress: '127.0.0.1', userAgent: 'test' };
  return cloud.database.withTenant(tenantId, async (tx) => {
    const grants = await readGrants(tx, tenantId, userId);
    const principal = { kind: 'user', principalId: userId, tenantId, name: 'somebody', grants } as const;
    const actor = { kind: 'user', id: userId, name: 'somebody' } as const;
    const audit = (event: AuditEvent) =>
      writeAudit(tx, { ...event, tenantId, at: now, actor, outcome: 'done', source });
    return work({ tenantId, principal, now, tx, reach: [], source, audit });
  });
}

async function entriesOf({ tenant }: TenantWorld, eventType: string): Promise<readonly AuditEntry[]> {
  const { entries } = await cloud.clientOf(tenant).audit.entries({ query: { limit: '100' } });
  return entries.filter((entry) => entry.eventType === eventType);
}

test('whoever may place holds places and releases one on an archive of their tenant, and both are recorded', async () => {
  const world = await makeWorld(cloud, 'hold');
  const { archiveId } = await exampleArchive(world);
  const held = () =>
    cloud.database.withTenant(world.tenant.tenantUid, (tx) => isHeld(tx, world.tenant.tenantUid, archiveId));
  const admin = world.admin.userId;
  assert.equal(await held(), false);
  const first = await as(world, admin, (ctx) => placeHold(ctx, deps, { archiveId, reason: ' matter 1 ' }));
  const second = await as(world, admin, (ctx) => placeHold(ctx, deps, { archiveId, reason: 'x'.repeat(1_000) }));
  await as(world, admin, (ctx) => releaseHold(ctx, deps, second.holdId));
  assert.equal(await held(), true, 'the other one is in force');
  await as(world, admin, (ctx) => releaseHold(ctx, deps, first.holdId));
  assert.equal(await held(), false);
  await assert.rejects(
    as(world, admin, (ctx) => releaseHold(ctx, deps, first.holdId)),
    { code: 'holds.already_released' },
  );
  const [placed] = await entriesOf(world, 'hold.placed');
  const text = JSON.parse(placed?.entry ?? '{}') as Record<string, unknown>;
  assert.deepEqual(text['target'], { kind: 'archive', id: archiveId });
  assert.deepEqual(text['after'], { holdId: first.holdId, reason: 'matter 1' });
  assert.equal(placed?.actorId, admin);
  assert.equal((await entriesOf(world, 'hold.released')).length, 2);
  for (const reason of ['', '  ', 'x'.repeat(1_001)])
    await assert.rejects(
      as(world, admin, (ctx) => placeHold(ctx, deps, { archiveId, reason })),
      { code: 'holds.reason_invalid', kind: 'invalid' },
    );
});

test('another tenant, an org that is not reached and somebody without the permission hold and release nothing', async () => {
  const [ours, theirs] = [await makeWorld(cloud, 'hold-ours'), await makeWorld(cloud, 'hold-theirs')];
  const { archiveId } = await exampleArchive(ours);
  const wanted = { archiveId, reason: 'matter' };
  const { holdId } = await as(ours, ours.admin.userId, (ctx) => placeHold(ctx, deps, wanted));
  const role = { roleId: 'customer-cloud-admin' } as const;
  const below = await makeUser(ours, { username: 'below', orgId: ours.childOrgId, ...role });
  await as(ours, below.userId, (ctx) => placeHold(ctx, deps, wanted));
  const above = { ...ours, device: await makeDevice({ ...ours, childOrgId: ours.rootOrgId }, null) };
  const { archiveId: aboveId } = await exampleArchive(above);
  await as(ours, ours.admin.userId, (ctx) => placeHold(ctx, deps, { archiveId: aboveId, reason: 'matter' }));
  await assert.rejects(
    as(ours, below.userId, (ctx) => placeHold(ctx, deps, { archiveId: aboveId, reason: 'matter' })),
    { code: 'holds.archive_not_found' },
  );
  const strangers = [
    [theirs, theirs.admin.userId, ['holds.archive_not_found', 'holds.not_found']],
    [ours, ours.member.userId, ['auth.missing_permission', 'auth.missing_permission']],
  ] as const;
  for (const [world, userId, [placing, releasing]] of strangers) {
    await assert.rejects(
      as(world, userId, (ctx) => placeHold(ctx, deps, wanted)),
      { code: placing },
    );
    await assert.rejects(
      as(world, userId, (ctx) => releaseHold(ctx, deps, holdId)),
      { code: releasing },
    );
  }
  const nobody = crypto.randomUUID();
  await assert.rejects(
    as(ours, ours.admin.userId, (ctx) => placeHold(ctx, deps, { archiveId: nobody, reason: 'matter' })),
    { code: 'holds.archive_not_found' },
  );
  await as(ours, ours.admin.userId, (ctx) => releaseHold(ctx, deps, holdId));
});

test('a quota stops an archive, not while it is under hold, and does again soon after', async () => {
  const world = await makeWorld(cloud, 'hold-quota');
  const archive = await exampleArchive(world);
  const { archiveId } = archive;
  const own = { settings: { archiveQuotaBytes: 100_000 }, locked: [] };
  const { policies } = cloud.clientOf(world.tenant);
  await policies.put({ params: { orgGuid: world.rootOrgId }, body: { own, revision: 0 } });
  const append = await archive.openAppending();
  assert.equal(await append(archive.newBlock(60_000)), 'stored');
  const [tooMuch, more] = [archive.newBlock(60_000), archive.newBlock(60_000)];
  assert.equal(await append(tooMuch), 'storage.quota_exceeded');
  const { holdId } = await as(world, world.admin.userId, (ctx) =>
    placeHold(ctx, deps, { archiveId, reason: 'matter' }),
  );
  assert.equal(await append(tooMuch), 'stored', 'in the same session, at once');
  await as(world, world.admin.userId, (ctx) => releaseHold(ctx, deps, holdId));
  const again = await archive.openAppending();
  assert.equal(await again(more), 'storage.quota_exceeded');
});
