import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '@holdfast/base';
import type { Problem } from '@holdfast/contract';
import {
  clientProof,
  deviceProof,
  forgedProof,
  makeDpop,
  makeUser,
  makeWorld,
  sendRaw,
  signInAs,
  startForFile,
  trySignIn,
  type Proof,
  type RawReply,
} from '../../testing.ts';
import { updateDeviceState } from '../devices/index.ts';
import { STATE_CACHE_MS } from './index.ts';
import { SESSION_TIMES } from './sessions.ts';

const clock = manualClock(Date.parse('2026-03-01T00:00:00Z'));
const { cluster, cloud } = await startForFile({ clock });

const json = { 'content-type': 'application/json' };

async function get(proof: Proof, path: string): Promise<RawReply> {
  return sendRaw(cloud.url, { method: 'GET', path, headers: await proof({ method: 'GET', path }) });
}

const codeOf = (reply: RawReply) => (reply.json as Problem).code;

const sql = (statement: string, values: readonly unknown[]) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);

test('a person signs in on their own tenant, in any case of their name, and gets a cookie scripts cannot read', async () => {
  const world = await makeWorld(cloud, 'signin');
  const { username, password } = world.member;
  const reply = await trySignIn(cloud, { slug: 'signin', username: username.toUpperCase(), password });
  assert.equal(reply.status, 201, reply.text);
  for (const cookie of [reply.headers['set-cookie']].flat())
    assert.match(
      String(cookie),
      /^__Host-[\w-]+=[\w-]{43}; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=(Lax|Strict)$/,
    );
  const browser = await signInAs(world, world.member);
  const current = (await get(browser.proof, '/v1/auth/session')).json as { userId: string; permissions: string[] };
  assert.equal(current.userId, world.member.userId);
  assert.deepEqual(current.permissions, ['restore.personal', 'restore.web', 'sessions.own']);
});

test('a change by cookie needs the token of the page and a request of the same site', async () => {
  const world = await makeWorld(cloud, 'csrf');
  const browser = await signInAs(world, world.admin);
  const path = '/v1/auth/session';
  const good = await browser.proof({ method: 'DELETE', path });
  const change = (headers: Record<string, string>) => sendRaw(cloud.url, { method: 'DELETE', path, headers });
  const { 'x-csrf-token': token, origin, 'sec-fetch-site': site, cookie } = good;
  assert.ok(token && origin && site && cookie);
  const wrong: Record<string, string>[] = [
    { cookie },
    { cookie, origin },
    { cookie, 'x-csrf-token': token },
    { cookie, origin, 'x-csrf-token': 'x' },
    { cookie, origin, 'x-csrf-token': `${token}=` },
    { cookie, 'x-csrf-token': token, origin: 'https://evil.example' },
    { cookie, 'x-csrf-token': token, origin: 'null' },
    { cookie, 'x-csrf-token': token, origin, 'sec-fetch-site': 'cross-site' },
    { cookie, 'x-csrf-token': token, 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of wrong)
    assert.equal(codeOf(await change(headers)), 'request.cross_site', JSON.stringify(headers));
  const evil = { slug: 'csrf', ...world.member, headers: { origin: 'https://evil.example' } };
  assert.equal(codeOf(await trySignIn(cloud, evil)), 'request.cross_site');
  assert.equal((await change({ cookie, origin, 'x-csrf-token': token })).status, 204);
  const again = await signInAs(world, world.admin);
  const { origin: _, ...bySite } = await again.proof({ method: 'DELETE', path });
  assert.equal((await change(bySite)).status, 204);
});

test('a session ends when it is signed out, when it is revoked, when it is idle, and in any case', async () => {
  const world = await makeWorld(cloud, 'ends');
  const path = '/v1/auth/session';
  const [one, two, three] = [
    await signInAs(world, world.member),
    await signInAs(world, world.member),
    await signInAs(world, world.member),
  ];
  assert.equal((await get(one.proof, path)).status, 200);
  await sendRaw(cloud.url, { method: 'DELETE', path, headers: await one.proof({ method: 'DELETE', path }) });
  assert.equal(codeOf(await get(one.proof, path)), 'auth.ended');
  const admin = cloud.clientOf(world.tenant);
  const { sessions } = await admin.sessions.listOf({ params: { userId: world.member.userId } });
  assert.deepEqual(sessions.map(({ sessionId }) => sessionId).toSorted(), [two.sessionId, three.sessionId].toSorted());
  await admin.sessions.revoke({ params: { userId: world.member.userId, sessionId: two.sessionId } });
  assert.equal(codeOf(await get(two.proof, path)), 'auth.ended');
  for (let hours = 0; hours < 11; hours += 0.25) {
    clock.advance(SESSION_TIMES.idleMs / 2);
    assert.equal((await get(three.proof, path)).status, 200, `after ${hours} h`);
  }
  const idle = await signInAs(world, world.member);
  clock.advance(SESSION_TIMES.idleMs + 1);
  assert.equal(codeOf(await get(idle.proof, path)), 'auth.ended');
  const lasting = await signInAs(world, world.member);
  for (let spent = 0; spent < SESSION_TIMES.absoluteMs; spent += SESSION_TIMES.idleMs / 2) {
    await get(lasting.proof, path);
    clock.advance(SESSION_TIMES.idleMs / 2);
  }
  assert.equal(codeOf(await get(lasting.proof, path)), 'auth.ended');
});

test('neither password nor cookie nor secret lies in the database', async () => {
  const world = await makeWorld(cloud, 'atrest');
  const browser = await signInAs(world, world.member);
  const { rows } = await sql(
    `select string_agg(t.row::text, ' ') as all from (
       select to_jsonb(u) as row from users u union all select to_jsonb(s) from sessions s union all
       select to_jsonb(c) from api_client_secrets c union all select to_jsonb(l) from locators l union all
       select to_jsonb(b) from known_browsers b union all select to_jsonb(a) from audit_entries a) t`,
    [],
  );
  const all = (rows as { all: string }[])[0]?.all ?? '';
  assert.ok(all.includes(world.member.username));
  const secrets = [...browser.cookie.split('; ').map((pair) => pair.split('=')[1] ?? ''), world.tenant.apiClientSecret];
  for (const secret of [...secrets, world.tenant.adminPassword, world.member.password]) {
    assert.ok(secret.length > 20);
    for (const spelt of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret, 'base64url').toString('hex')])
      assert.ok(!all.includes(spelt), spelt);
  }
});

test('whoever is blocked, deactivated, deauthorised or revoked acts for five seconds more at most', async () => {
  const world = await makeWorld(cloud, 'state');
  const { tenantUid: tenantId } = world.tenant;
  const endings: readonly (readonly [string, Proof, string, () => Promise<unknown>])[] = [
    [
      'a blocked user',
      (await signInAs(world, world.member)).proof,
      '/v1/auth/session',
      () => sql('update users set blocked = true where user_id = $1', [world.member.userId]),
    ],
    [
      'a deauthorised device',
      await deviceProof(world, 'api'),
      '/v1/customer',
      () =>
        cloud.database.withTenant(tenantId, (tx) =>
          updateDeviceState(tx, {
            tenantId,
            deviceId: world.device.deviceId,
            state: 'deauthorized',
            statement: null,
            at: new Date(clock.now()),
          }),
        ),
    ],
    [
      'a client of a blocked tenant',
      await clientProof(world),
      '/v1/customer',
      () => sql(`update tenants set state = 'blocked' where tenant_id = $1`, [tenantId]),
    ],
  ];
  for (const [who, proof, path, end] of endings) {
    const before = await get(proof, path);
    assert.ok(before.status === 200 || codeOf(before) === 'auth.wrong_kind', `${who}: ${before.text}`);
    await end();
    clock.advance(STATE_CACHE_MS);
    const code = who === 'a deauthorised device' ? 'devices.deauthorized' : 'auth.ended';
    assert.equal(codeOf(await get(proof, path)), code, who);
  }
  assert.equal((await trySignIn(cloud, { slug: 'state', ...world.admin })).status, 401);
});

test("a device's token is worth nothing without its key", async () => {
  const world = await makeWorld(cloud, 'bound');
  const proof = await deviceProof(world, 'api');
  const path = '/v1/customer';
  const good = await proof({ method: 'GET', path });
  const { authorization = '', dpop = '' } = good;
  assert.equal(codeOf(await get(async () => good, path)), 'auth.wrong_kind');
  const bare = authorization.replace('DPoP', 'Bearer');
  const elsewhere = await proof({ method: 'GET', path: '/v1/users' });
  for (const headers of [
    { authorization: bare },
    { authorization: bare, dpop },
    { authorization },
    { authorization, dpop },
    { authorization, dpop: elsewhere['dpop'] ?? '' },
  ])
    assert.equal(codeOf(await get(async () => headers, path)), 'auth.invalid');
});

test('who is known and refused before the work begins is in the log of their tenant', async () => {
  const world = await makeWorld(cloud, 'tried');
  const { tenantUid: tenantId } = world.tenant;
  const path = '/v1/customer';
  const refused = async (work: () => Promise<RawReply>) => {
    const statement = `select e.entry from audit_entries e join audit_leaves l using (tenant_id, entry_id)
      where e.tenant_id = $1 and e.event_type = 'request.refused' order by l.log_index`;
    const before = (await sql(statement, [tenantId])).rowCount ?? 0;
    const reply = await work();
    const rows = (await sql(statement, [tenantId])).rows as { entry: string }[];
    const entries = rows.slice(before).map(({ entry }) => JSON.parse(entry) as Record<string, unknown>);
    return { code: codeOf(reply), told: entries.map(({ actor, facts, outcome }) => ({ actor, facts, outcome })) };
  };
  const toldOf = (kind: string, id: string, code: string, route = `GET ${path}`) => {
    const [method = '', routePath = ''] = route.split(' ');
    return {
      code,
      told: [{ actor: { kind, id, name: id }, facts: { code, method, path: routePath }, outcome: 'refused' }],
    };
  };
  const signOut = async (proof: Proof, changes: Record<string, string> = {}) => {
    const about = { method: 'DELETE', path: '/v1/auth/session' };
    return sendRaw(cloud.url, { ...about, headers: { ...(await proof(about)), ...changes } });
  };
  const used = await (await deviceProof(world, 'api'))({ method: 'GET', path });
  await get(async () => used, path);
  const { deviceId } = world.device;
  assert.deepEqual(await refused(() => get(async () => used, path)), toldOf('device', deviceId, 'auth.invalid'));
  const bare = { authorization: (used['authorization'] ?? '').replace('DPoP', 'Bearer') };
  assert.deepEqual(await refused(() => get(async () => bare, path)), toldOf('device', deviceId, 'auth.invalid'));
  const [one, two] = [await signInAs(world, world.member), await signInAs(world, world.member)];
  const { userId } = world.member;
  const forged = refused(() => signOut(one.proof, { 'x-csrf-token': 'x' }));
  assert.deepEqual(await forged, toldOf('user', userId, 'request.cross_site', 'DELETE /v1/auth/session'));
  assert.equal((await signOut(two.proof)).status, 204);
  const session = '/v1/auth/session';
  const ended = refused(() => get(two.proof, session));
  assert.deepEqual(await ended, toldOf('user', userId, 'auth.ended', `GET ${session}`));
  await sql('update users set blocked = true where user_id = $1', [userId]);
  clock.advance(STATE_CACHE_MS);
  const blocked = refused(() => get(one.proof, session));
  assert.deepEqual(await blocked, toldOf('user', userId, 'auth.ended', `GET ${session}`));
  // What is no refusal, or of nobody, leaves nothing: a nonce asked for, another tenant's, an unknown cookie or token.
  const nobody: readonly [string, Proof][] = [
    ['auth.missing', async () => ({})],
    ['auth.invalid', async () => ({ cookie: `__Host-holdfast=${'x'.repeat(43)}` })],
    ['auth.invalid', async () => ({ authorization: 'Bearer x' })],
    [
      'auth.use_nonce',
      async () => ({
        ...used,
        dpop: await makeDpop(world.device, {
          method: 'GET',
          url: cloud.url + path,
          token: (used['authorization'] ?? '').slice('DPoP '.length),
          nonce: '',
        }),
      }),
    ],
  ];
  for (const [code, proof] of nobody) assert.deepEqual(await refused(() => get(proof, path)), { code, told: [] });
  const { proof } = await signInAs(world, world.admin);
  assert.deepEqual((await refused(() => get(proof, session))).told, []);
});

test('a proof without a nonce gets one with the refusal, and the proof made with it is accepted', async () => {
  const world = await makeWorld(cloud, 'nonce');
  const path = '/v1/customer';
  const { authorization = '' } = await (await deviceProof(world, 'api'))({ method: 'GET', path });
  const about = { method: 'GET', url: cloud.url + path, token: authorization.slice('DPoP '.length) };
  const ask = async (nonce: string) =>
    get(async () => ({ authorization, dpop: await makeDpop(world.device, { ...about, nonce }) }), path);
  const refused = await ask('');
  assert.equal(codeOf(refused), 'auth.use_nonce');
  assert.match(String(refused.headers['www-authenticate']), /^DPoP error="use_dpop_nonce"/);
  const accepted = await ask(String(refused.headers['dpop-nonce']));
  assert.equal(codeOf(accepted), 'auth.wrong_kind');
  assert.match(String(accepted.headers['dpop-nonce']), /^[\w-]{30}$/);
});

test('a token carries no more than its scopes and no more than its principal holds now', async () => {
  const world = await makeWorld(cloud, 'scopes');
  const principalId = world.tenant.apiClientId.slice('key-'.length);
  const narrow = forgedProof(world, { kind: 'client', principalId, scopes: ['orgs.read'] });
  assert.equal((await get(narrow, '/v1/orgs')).status, 200);
  assert.equal(codeOf(await get(narrow, '/v1/users')), 'auth.missing_permission');
  const wide = forgedProof(world, { kind: 'client', principalId, scopes: ['orgs.read', 'archive.own'] });
  assert.equal((await get(wide, '/v1/orgs')).status, 200);
  await sql('delete from role_assignments where principal_id = $1', [principalId]);
  clock.advance(STATE_CACHE_MS);
  assert.equal(codeOf(await get(wide, '/v1/orgs')), 'auth.missing_permission');
});

test('an administrator of an org reaches that org and those below it, and gives no role beyond their own', async () => {
  const world = await makeWorld(cloud, 'subtree');
  const chief = await makeUser(world, { username: 'chief', orgId: world.childOrgId, roleId: 'org-admin' });
  const { proof } = await signInAs(world, chief);
  const { users } = (await get(proof, '/v1/users')).json as { users: { username: string }[] };
  assert.deepEqual(
    users.map(({ username }) => username),
    ['chief', 'member@subtree'],
  );
  const { orgs } = (await get(proof, '/v1/orgs')).json as { orgs: { orgGuid: string; userCount: number }[] };
  assert.deepEqual(
    orgs.map(({ orgGuid, userCount }) => [orgGuid, userCount]),
    [[world.childOrgId, 2]],
  );
  for (const path of [
    `/v1/users/${world.admin.userId}`,
    `/v1/orgs/${world.rootOrgId}`,
    `/v1/orgs/${world.rootOrgId}/policy`,
  ])
    assert.equal((await get(proof, path)).status, 404, path);
  const give = async (userId: string, roleIds: readonly string[]) => {
    const path = `/v1/users/${userId}/roles`;
    const headers = { ...json, ...(await proof({ method: 'PUT', path })) };
    return sendRaw(cloud.url, { method: 'PUT', path, headers, body: JSON.stringify({ roleIds }) });
  };
  assert.equal((await give(world.member.userId, ['desktop-user', 'org-admin'])).status, 200);
  assert.equal(codeOf(await give(world.member.userId, ['customer-cloud-admin'])), 'users.role_exceeds_yours');
  assert.equal(codeOf(await give(world.admin.userId, ['desktop-user'])), 'users.not_found');
  const roles = (await get(proof, `/v1/users/${world.member.userId}/roles`)).json as { roleId: string }[];
  assert.deepEqual(
    roles.map(({ roleId }) => roleId),
    ['desktop-user', 'org-admin'],
  );
});

test('the last who may give roles in a tenant cannot be taken that role, and with another they can', async () => {
  const world = await makeWorld(cloud, 'last');
  const client = cloud.clientOf(world.tenant);
  const take = () => client.users.setRoles({ params: { userId: world.admin.userId }, body: { roleIds: [] } });
  await assert.rejects(take(), { code: 'users.last_administrator' });
  const second = await makeUser(world, { username: 'second', orgId: world.rootOrgId });
  const params = { userId: second.userId };
  await client.users.setRoles({ params, body: { roleIds: ['customer-cloud-admin'] } });
  assert.deepEqual((await take()).unassignedRolesIds, ['customer-cloud-admin']);
});

test('nothing that was asked met a fault of the server', () => {
  assert.deepEqual(cloud.faults, []);
});
