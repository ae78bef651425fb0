import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '@holdfast/base';
import { clientCredentials } from '@holdfast/sdk';
import { makeUser, makeWorld, sendRaw, signInAs, startForFile, type RawReply } from '../../testing.ts';
import { RECORDED_EACH, WINDOW_MS } from '../../platform/refusal-log.ts';
import { STATE_CACHE_MS } from '../identity/index.ts';

const clock = manualClock(Date.parse('2026-03-01T00:00:00Z'));
const { cluster, cloud } = await startForFile({ clock });

type Secret = { readonly clientId: string; readonly clientSecret: string };
const basic = ({ clientId, clientSecret }: Secret) =>
  `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;

function askToken(headers: Record<string, string>, body?: string, query = ''): Promise<RawReply> {
  return sendRaw(cloud.url, {
    method: 'POST',
    path: `/v1/oauth${query}`,
    headers,
    ...(body === undefined ? {} : { body }),
  });
}

test('a client gets a token by Basic with an empty body, with a form, with JSON, and with the grant named', async () => {
  const { tenant } = await makeWorld(cloud, 'oauth');
  const secret = { clientId: tenant.apiClientId, clientSecret: tenant.apiClientSecret };
  const form = 'application/x-www-form-urlencoded';
  const fields = `client_id=${secret.clientId}&client_secret=${secret.clientSecret}`;
  const asked = [
    await askToken({ authorization: basic(secret) }),
    await askToken({ authorization: basic(secret) }, ''),
    await askToken({ authorization: basic(secret), 'content-type': form }, ''),
    await askToken({ authorization: basic(secret), 'content-type': form }, 'grant_type=client_credentials'),
    await askToken({ authorization: basic(secret) }, undefined, '?grant_type=client_credentials'),
    await askToken({ 'content-type': form }, fields),
    await askToken(
      { 'content-type': 'application/json' },
      JSON.stringify({ client_id: secret.clientId, client_secret: secret.clientSecret }),
    ),
  ];
  for (const reply of asked) {
    assert.equal(reply.status, 200, reply.text);
    const { token_type, expires_in, access_token } = reply.json as Record<string, unknown>;
    assert.deepEqual([token_type, expires_in], ['bearer', 900]);
    const claims = JSON.parse(Buffer.from(String(access_token).split('.')[1] ?? '', 'base64url').toString()) as object;
    assert.equal((claims as { tenantUid: string }).tenantUid, tenant.tenantUid);
  }
});

test('a wrong id and a wrong secret look the same, and other grants are refused', async () => {
  const { tenant } = await makeWorld(cloud, 'wrong');
  const right = { clientId: tenant.apiClientId, clientSecret: tenant.apiClientSecret };
  const shape = ({ status, json }: RawReply) => ({ status, json: { ...(json as object), requestId: '' } });
  const unknown = `key-${crypto.randomUUID()}`;
  const replies = [
    { ...right, clientSecret: 'wrong' },
    { ...right, clientSecret: '' },
    { ...right, clientId: unknown },
    { ...right, clientId: 'rubbish' },
    { ...right, clientId: right.clientId.toUpperCase() },
  ].map((secret) => askToken({ authorization: basic(secret) }));
  const [first, ...others] = (await Promise.all(replies)).map(shape);
  assert.equal(first?.status, 401);
  for (const other of others) assert.deepEqual(other, first);
  assert.equal((await askToken({})).status, 401);
  assert.equal((await askToken({ authorization: basic(right) }, undefined, '?grant_type=password')).status, 400);
  assert.equal((await askToken({ authorization: basic(right) })).status, 200);
});

test('whoever asks with a wrong secret for ever does not fill the log, and how often they did is in it', async () => {
  const { tenant } = await makeWorld(cloud, 'filling');
  const right = { clientId: tenant.apiClientId, clientSecret: tenant.apiClientSecret };
  const refusalsOf = async (tenantId: string) => {
    const statement = `select entry from audit_entries where tenant_id = $1 and event_type = 'api_client.refused' order by entry_id`;
    const { rows } = await cluster.asSuperuser(cloud.testDatabase.target.database, statement, [tenantId]);
    return rows.map((row: { entry: string }) => JSON.parse(row.entry) as Record<string, unknown>);
  };
  const askOften = (clientId: string) =>
    Promise.all(
      Array.from({ length: RECORDED_EACH + 10 }, () =>
        askToken({ authorization: basic({ clientId, clientSecret: 'wrong' }) }),
      ),
    );
  for (const reply of await askOften(`key-${crypto.randomUUID()}`)) assert.equal(reply.status, 401);
  assert.deepEqual(await refusalsOf(cloud.api.installationId), []);
  const since = new Date(clock.now()).toISOString();
  for (const reply of await askOften(right.clientId)) assert.equal(reply.status, 401);
  const recorded = await refusalsOf(tenant.tenantUid);
  assert.equal(recorded.length, RECORDED_EACH);
  const target = { kind: 'api_client', id: right.clientId.slice('key-'.length) };
  for (const entry of recorded) assert.deepEqual([entry['target'], entry['facts']], [target, {}]);
  assert.equal((await askToken({ authorization: basic(right) })).status, 200);
  await cloud.api.deps.refusals.summarise();
  assert.equal((await refusalsOf(tenant.tenantUid)).length, RECORDED_EACH);
  clock.advance(WINDOW_MS);
  await cloud.api.deps.refusals.summarise();
  const [summary, ...others] = (await refusalsOf(tenant.tenantUid)).slice(RECORDED_EACH);
  assert.deepEqual([summary?.['target'], others], [target, []]);
  assert.deepEqual(summary?.['facts'], { furtherRefusals: { count: 10, since, ipAddresses: ['127.0.0.1'] } });
  await askToken({ authorization: basic({ ...right, clientSecret: 'wrong' }) });
  assert.equal((await refusalsOf(tenant.tenantUid)).length, RECORDED_EACH + 2);
  await cloud.api.deps.refusals.summarise({ all: true });
  assert.equal((await refusalsOf(tenant.tenantUid)).length, RECORDED_EACH + 2);
});

test('a rotated secret works at once, the older one for the overlap, and one older still no more', async () => {
  const { tenant } = await makeWorld(cloud, 'rotate');
  const client = cloud.clientOf(tenant);
  const made = await client.apiClients.create({ body: { name: 'Export', roleId: 'desktop-user' } });
  const rotate = (overlapSeconds: number) =>
    client.apiClients.rotate({ params: { clientId: made.clientId }, body: { overlapSeconds } });
  const second = await rotate(600);
  assert.equal(second.oldSecretEndsAt, new Date(clock.now() + 600_000).toISOString());
  const works = async (secret: Secret) => (await askToken({ authorization: basic(secret) })).status === 200;
  assert.deepEqual([await works(made), await works(second)], [true, true]);
  clock.advance(600_000);
  assert.deepEqual([await works(made), await works(second)], [false, true]);
  const third = await rotate(600);
  const fourth = await rotate(600);
  assert.deepEqual([await works(second), await works(third), await works(fourth)], [false, true, true]);
  const fifth = await rotate(0);
  assert.deepEqual([await works(fourth), await works(fifth)], [false, true]);
});

test('a revoked client gets no token, and the ones it has end', async () => {
  const { tenant } = await makeWorld(cloud, 'revoke');
  const client = cloud.clientOf(tenant);
  const made = await client.apiClients.create({ body: { name: 'Short', roleId: 'org-admin' } });
  const server = { baseUrl: cloud.url, fetch, nowMs: () => clock.now() };
  const revoked = cloud.clientFor(clientCredentials(made, server));
  assert.equal((await revoked.customer.get()).tenantId, tenant.tenantUid);
  await client.apiClients.revoke({ params: { clientId: made.clientId } });
  clock.advance(STATE_CACHE_MS);
  await assert.rejects(revoked.customer.get(), { code: 'auth.ended' });
  assert.equal((await askToken({ authorization: basic(made) })).status, 401);
  const { apiClients } = await client.apiClients.list();
  assert.ok(!apiClients.some(({ clientId }) => clientId === made.clientId));
});

test('nobody makes a client that holds more than they do, or outside what they reach', async () => {
  const world = await makeWorld(cloud, 'exceeds');
  const chief = await makeUser(world, { username: 'chief', orgId: world.childOrgId, roleId: 'org-admin' });
  const { proof } = await signInAs(world, chief);
  const path = '/v1/api-clients';
  const body = JSON.stringify({ name: 'x', roleId: 'desktop-user', orgGuid: world.childOrgId });
  const headers = { 'content-type': 'application/json', ...(await proof({ method: 'POST', path })) };
  assert.equal((await sendRaw(cloud.url, { method: 'POST', path, headers, body })).status, 403);
  const admin = cloud.clientOf(world.tenant);
  const create = (roleId: string, orgGuid?: string) =>
    admin.apiClients.create({ body: { name: 'x', roleId, ...(orgGuid === undefined ? {} : { orgGuid }) } });
  await assert.rejects(create('no-such-role'), { code: 'api_clients.role_not_found' });
  await assert.rejects(create('desktop-user', crypto.randomUUID()), { code: 'api_clients.org_not_found' });
  assert.equal((await create('customer-cloud-admin')).roleId, 'customer-cloud-admin');
  assert.equal((await create('desktop-user', world.childOrgId)).orgGuid, world.childOrgId);
});
