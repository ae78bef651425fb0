import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientCredentials } from '@holdfast/sdk';
import { bootstrapQuickstart, createTenant, prepareInstallation, type BootstrapDeps } from './bootstrap.ts';
import { locate } from './modules/tenants/index.ts';
import { logins } from './platform/postgres.ts';
import { replaceCredentials } from './replace-credentials.ts';
import {
  makeWorld,
  sendRaw,
  signInAs,
  startTestCloud,
  startTestCluster,
  type TestBrowser,
  type TestCloud,
  type TestCluster,
} from './testing.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let deps: BootstrapDeps;
before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  deps = cloud.bootstrap;
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

async function canEnter(credentials: { slug: string; adminUsername: string; adminPassword: string }): Promise<number> {
  const body = JSON.stringify({ username: credentials.adminUsername, password: credentials.adminPassword });
  const path = `/t/${credentials.slug}/v1/sessions`;
  return (await sendRaw(cloud.url, { method: 'POST', path, headers: { 'content-type': 'application/json' }, body }))
    .status;
}

test('an installation gets one identity, however many nodes prepare it', async () => {
  const ids = await Promise.all([1, 2, 3, 4].map(() => prepareInstallation(deps)));
  assert.deepEqual(new Set(ids), new Set([cloud.api.installationId]));
});

test('a tenant is made by the login of the operator, and by no other that the server has', async () => {
  const about = { name: 'Made', adminUsername: 'admin' };
  for (const login of logins.filter((each) => each !== 'hf_system' && each !== 'hf_migrate')) {
    const system = cloud.testDatabase.open(login);
    const made = createTenant({ ...deps, system }, { ...about, slug: `by-${login.replace('_', '-')}` });
    // One that may not look into the schema at all finds no table there.
    await assert.rejects(made, { code: login === 'hf_keystore' ? '42P01' : '42501' }, login);
    assert.equal(await locate(deps.system, 'tenant_slug', `by-${login.replace('_', '-')}`), undefined);
  }
  const made = await createTenant(deps, { ...about, slug: 'by-hf-system' });
  assert.equal(await locate(deps.system, 'tenant_slug', 'by-hf-system'), made.tenantUid);
});

test('the first start makes a tenant whose credentials work, later starts keep it, and lost ones are replaced', async () => {
  const first = await bootstrapQuickstart(deps, false);
  assert.ok(first.status === 'new');
  assert.equal(await canEnter(first), 201);
  const server = { baseUrl: cloud.url, fetch, nowMs: () => cloud.clock.now() };
  const clientOf = (made: { apiClientId: string; apiClientSecret: string }) =>
    cloud.clientFor(clientCredentials({ clientId: made.apiClientId, clientSecret: made.apiClientSecret }, server));
  assert.equal((await clientOf(first).customer.get()).tenantId, first.tenantUid);
  assert.deepEqual(await bootstrapQuickstart(deps, true), { status: 'kept' });
  assert.equal(await canEnter(first), 201);
  const replaced = await bootstrapQuickstart(deps, false);
  assert.ok(replaced.status === 'new');
  assert.equal(replaced.tenantUid, first.tenantUid);
  assert.equal(await canEnter(first), 401);
  assert.equal(await canEnter(replaced), 201);
  assert.equal((await clientOf(replaced).customer.get()).tenantId, first.tenantUid);
  const { entries } = await clientOf(replaced).audit.entries({ query: {} });
  const acts = entries.map(({ eventType }) => eventType);
  assert.ok(acts.includes('tenant.created') && acts.includes('credentials.replaced'));
});

test('new credentials end the sessions and known browsers of the administrator, and nobody else', async () => {
  const world = await makeWorld(cloud, 'expelled');
  const { tenantUid: tenantId } = world.tenant;
  const [intruder, member] = [await signInAs(world, world.admin), await signInAs(world, world.member)];
  const ask = async ({ proof }: TestBrowser) => {
    const about = { method: 'GET', path: '/v1/auth/session' };
    return (await sendRaw(cloud.url, { ...about, headers: await proof(about) })).status;
  };
  assert.deepEqual([await ask(intruder), await ask(member)], [200, 200]);
  const count = async (from: string) =>
    cluster.asSuperuser(
      cloud.testDatabase.target.database,
      `select count(*)::int as count from ${from} where tenant_id = $1`,
      [tenantId],
    );
  const before = (await count(`locators natural join (values ('session')) as kinds (kind)`)).rows;
  assert.deepEqual(before, [{ count: 2 }]);
  const { adminUsername } = world.tenant;
  const replaced = await replaceCredentials({ system: cloud.system, clock: cloud.clock }, { tenantId, adminUsername });
  assert.deepEqual([await ask(intruder), await ask(member)], [401, 200]);
  for (const [from, left] of [
    ['sessions', 1],
    ['known_browsers', 1],
    [`locators natural join (values ('session')) as kinds (kind)`, 1],
  ] as const)
    assert.deepEqual((await count(from)).rows, [{ count: left }], from);
  const { entries } = await cloud.clientOf({ ...world.tenant, ...replaced }).audit.entries({ query: {} });
  const told = entries.find(({ eventType }) => eventType === 'credentials.replaced')?.entry ?? '{}';
  assert.deepEqual((JSON.parse(told) as { facts: unknown }).facts, { sessions: 1, browsers: 1 });
  assert.equal(await canEnter({ ...world.tenant, ...replaced }), 201);
});

test('an address that is taken or malformed makes no tenant, and a good one does', async () => {
  const wanted = (slug: string) => createTenant(deps, { slug, name: 'Name', adminUsername: 'admin' });
  await wanted('taken');
  const count = async () =>
    (await cluster.asSuperuser(cloud.testDatabase.target.database, 'select count(*)::int as count from tenants'))
      .rows[0];
  const before = await count();
  await assert.rejects(wanted('taken'), { code: 'tenants.slug_taken' });
  for (const slug of ['', 'UPPER', '-a', 'a b', 'a/b', 'x'.repeat(64)])
    await assert.rejects(wanted(slug), { code: 'tenants.slug_invalid' });
  assert.deepEqual(await count(), before);
  for (const slug of ['a', '0-9', 'x'.repeat(63)]) await wanted(slug);
});
