import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, isRetryable } from '@holdfast/base';
import {
  anonymous,
  bearer,
  browserSession,
  clientCredentials,
  createClient,
  type Fetch,
  type FetchInit,
} from './index.ts';

type Sent = { readonly url: string; readonly init: FetchInit };

/** A server that remembers what it was sent and answers by path. */
function serverOf(answers: Readonly<Record<string, () => Response>>): { fetch: Fetch; sent: Sent[] } {
  const sent: Sent[] = [];
  const fetch: Fetch = async (url, init) => {
    sent.push({ url, init });
    const answer = answers[new URL(url).pathname];
    if (!answer) throw new TypeError('fetch failed');
    return answer();
  };
  return { fetch, sent };
}

const baseUrl = 'https://cloud.example';
const customer = { name: 'Tenant', registrationKey: 'K', tenantId: '01a20022-3f71-794d-8c9b-3f8a283bb6c9' };
const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  () =>
    new Response(JSON.stringify(body), { status, headers });

test('a call puts its parts where the contract says and checks the reply', async () => {
  const user = '01a20022-3f71-794d-8c9b-3f8a283bb6c9';
  const { fetch, sent } = serverOf({
    '/v1/users': json({ users: [], totalCount: 0 }),
    [`/v1/users/${user}/sessions/a%2Fb%3F`]: () => new Response(null, { status: 204 }),
    [`/v1/users/${user}/roles`]: json({
      processedReplacementRoleIds: ['x'],
      newlyAssignedRolesIds: [],
      unassignedRolesIds: [],
      ignoredRolesIds: [],
    }),
  });
  const client = createClient({ baseUrl, fetch, credentials: bearer('token') });
  assert.deepEqual(await client.users.list({ query: { username: 'a&b=ö', page: '2' } }), { users: [], totalCount: 0 });
  assert.equal(await client.sessions.revoke({ params: { userId: user, sessionId: 'a/b?' } }), undefined);
  await client.users.setRoles({ params: { userId: user }, body: { roleIds: ['x'] } });
  const [list, revoke, set] = sent;
  assert.equal(list?.url, `${baseUrl}/v1/users?username=a%26b%3D%C3%B6&page=2`);
  assert.equal(list?.init.headers['authorization'], 'Bearer token');
  assert.equal(revoke?.init.method, 'DELETE');
  assert.equal(set?.init.body, '{"roleIds":["x"]}');
  assert.equal(set?.init.headers['content-type'], 'application/json');
});

test("a problem becomes the server's own error, with when to come back; one to wait for is retryable", async () => {
  const problem = { code: 'auth.slow_down', kind: 'exhausted', title: 'Wait', details: { a: 1 }, requestId: 'r1' };
  const { fetch } = serverOf({ '/v1/customer': json(problem, 429, { 'retry-after': '7' }) });
  const client = createClient({ baseUrl, fetch, credentials: anonymous });
  const error: unknown = await client.customer.get().catch((caught: unknown) => caught);
  assert.ok(error instanceof CodedError && isRetryable(error));
  assert.deepEqual([error.code, error.message], ['auth.slow_down', 'Wait']);
  assert.deepEqual(error.details, { a: 1, requestId: 'r1', retryAfterSeconds: 7 });
});

test('an answer that is not of this API, a fault, and no answer are told apart', async () => {
  const internal = { code: 'server.internal', kind: 'internal', title: 'x', details: {}, requestId: 'r' };
  const answers: readonly (readonly [string, (() => Response) | undefined])[] = [
    ['sdk.not_a_problem', () => new Response('<html>proxy</html>', { status: 502 })],
    ['sdk.not_a_problem', () => new Response('<html>login</html>')],
    ['sdk.not_a_problem', json({ ...customer, tenantId: 5 })],
    ['sdk.server_bug', json(internal, 500)],
    ['sdk.unreachable', undefined],
  ];
  for (const [code, answer] of answers) {
    const { fetch } = serverOf(answer ? { '/v1/customer': answer } : {});
    await assert.rejects(createClient({ baseUrl, fetch, credentials: anonymous }).customer.get(), { code });
  }
  const { fetch } = serverOf({ '/v1/customer': json(customer) });
  assert.deepEqual(await createClient({ baseUrl, fetch, credentials: anonymous }).customer.get(), customer);
});

test('a failure that the fetch has declared is thrown as it is, any other as no answer', async () => {
  const declared = new CodedError({ code: 'proxy.refused', kind: 'unavailable', message: 'No' });
  const failing =
    (error: Error): Fetch =>
    () =>
      Promise.reject(error);
  const get = (error: Error) => createClient({ baseUrl, fetch: failing(error), credentials: anonymous }).customer.get();
  await assert.rejects(get(declared), declared);
  await assert.rejects(get(new Error('socket hang up')), { code: 'sdk.unreachable' });
});

test('an aborted call rejects with the reason it was given', async () => {
  const fetch: Fetch = async (_, { signal }) => {
    throw signal?.reason ?? new Error('not aborted');
  };
  const reason = new Error('stopped by the user');
  const client = createClient({ baseUrl, fetch, credentials: anonymous });
  await assert.rejects(client.customer.get({ signal: AbortSignal.abort(reason) }), reason);
});

test('client credentials ask for one token however many calls wait for it, and again a minute before it ends', async () => {
  const token = json({ token_type: 'bearer', expires_in: 900, access_token: 'abc' });
  const { fetch, sent } = serverOf({ '/v1/oauth': token, '/v1/customer': json(customer) });
  let nowMs = 1_000;
  const server = { baseUrl, fetch, nowMs: () => nowMs };
  const credentials = clientCredentials({ clientId: 'key-1', clientSecret: 'sécret' }, server);
  const client = createClient({ baseUrl, fetch, credentials });
  const asked = () => sent.filter(({ url }) => url.endsWith('/v1/oauth')).length;
  await Promise.all([client.customer.get(), client.customer.get(), client.customer.get()]);
  assert.equal(asked(), 1);
  assert.equal(sent[0]?.init.headers['authorization'], `Basic ${Buffer.from('key-1:sécret').toString('base64')}`);
  nowMs += 839_000;
  await client.customer.get();
  assert.equal(asked(), 1);
  nowMs += 2_000;
  await client.customer.get();
  assert.equal(asked(), 2);
});

test('a refused secret is reported, and asked for again at the next call', async () => {
  const refusal = { code: 'auth.invalid', kind: 'unauthenticated', title: 'x', details: {}, requestId: 'r' };
  const { fetch, sent } = serverOf({ '/v1/oauth': json(refusal, 401) });
  const server = { baseUrl, fetch, nowMs: () => 0 };
  const credentials = clientCredentials({ clientId: 'key-1', clientSecret: 'x' }, server);
  const client = createClient({ baseUrl, fetch, credentials });
  for (const _ of [1, 2]) await assert.rejects(client.customer.get(), { code: 'auth.invalid' });
  assert.equal(sent.length, 2);
});

test('a page sends its token and lets the browser add the cookie', async () => {
  const { fetch, sent } = serverOf({ '/v1/customer': json(customer) });
  await createClient({ baseUrl, fetch, credentials: browserSession('page') }).customer.get();
  assert.equal(sent[0]?.init.headers['x-csrf-token'], 'page');
  assert.equal(sent[0]?.init.credentials, 'include');
});

test('an address that answers as no server of ours does is said to be none, for tokens as for all else', async () => {
  const secret = { clientId: 'id', clientSecret: 'secret' };
  const isNone = (error: unknown) => error instanceof CodedError && error.code === 'sdk.not_a_problem';
  for (const answer of [json({ token: 1 }), () => new Response('<html>', { status: 200 }), json([])]) {
    const { fetch } = serverOf({ '/v1/oauth': answer, '/v1/customer': answer });
    const credentials = clientCredentials(secret, { baseUrl, fetch, nowMs: () => 0 });
    await assert.rejects(createClient({ baseUrl, fetch, credentials }).customer.get({}), isNone);
    await assert.rejects(createClient({ baseUrl, fetch, credentials: bearer('t') }).customer.get({}), isNone);
  }
});

test('what a server says of a failure reaches no terminal as a command, and is not endless', async () => {
  const escape = '\u001b[2J\u009b31m\u202e\r';
  const details = { field: `name${escape}`, list: [`a${escape}`, 5], inner: { text: `b\nc${escape}` } };
  const problem = { code: 'devices.not_found', kind: 'not_found', title: `Nothing${escape}`, details, requestId: 'r' };
  const endless = () =>
    new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)) }), {
      status: 500,
    });
  const { fetch } = serverOf({
    '/v1/customer': json(problem, 404),
    '/v1/users': endless,
    '/v1/orgs': () =>
      new Response(
        `{"code":"a.b","kind":"invalid","title":"","requestId":"r","details":{"a":${'['.repeat(300_000)}${']'.repeat(300_000)}}}`,
        { status: 400 },
      ),
    '/v1/users/roles': json({ ...problem, title: 'Größe: 漢字 ok', details: { path: '/a b/ü\tx' } }, 404),
  });
  const client = createClient({ baseUrl, fetch, credentials: anonymous });
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error as CodedError,
    );
  const failure = await failureOf(client.customer.get({}));
  assert.doesNotMatch(JSON.stringify([failure.message, failure.details]), /\\u001b|\\r|[\u0080-\u009f\u202e]/);
  assert.deepEqual([failure.code, failure.message.startsWith('Nothing')], ['devices.not_found', true]);
  assert.deepEqual(Object.keys(failure.details), ['field', 'list', 'inner', 'requestId']);
  assert.equal((await failureOf(client.users.list({ query: {} }))).code, 'sdk.not_a_problem');
  assert.equal((await failureOf(client.orgs.list({ query: {} }))).code, 'a.b', 'however deep its details are');
  const plain = await failureOf(client.users.roles({}));
  assert.deepEqual([plain.message, plain.details['path']], ['Größe: 漢字 ok', '/a b/ü\tx']);
});
