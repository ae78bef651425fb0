import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import {
  allRoutes,
  commonCodes,
  DEFAULT_MAX_BODY_BYTES,
  isBytes,
  principalsOf,
  isOpen,
  Problem,
  roleOf,
  type Route,
} from '@holdfast/contract';
import { hostileBodies, hostileJsonValues, hostilePathTexts } from '@holdfast/testing';
import {
  clientProof,
  deviceProof,
  endRawConnections,
  makeWorld,
  routeExamples,
  sendRaw,
  signInAs,
  startTestCloud,
  startTestCluster,
  type Proof,
  type RawReply,
  type RawRequest,
  type RouteExample,
  type TenantWorld,
  type TestCloud,
  type TestCluster,
} from './testing.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let world: TenantWorld;
let proofs: Readonly<Record<string, Proof>>;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  world = await makeWorld(cloud, 'ours');
  const user = (await signInAs(world, world.admin)).proof;
  proofs = {
    user,
    client: await clientProof(world),
    device: await deviceProof(world, 'api'),
    deviceAtStorage: await deviceProof(world, 'storage'),
  };
});
after(async () => {
  endRawConnections();
  await cloud.stop();
  await cluster.stop();
});

/** One malformed request, and whether a success would be wrong. */
type Malformed = { readonly about: string; readonly request: Omit<RawRequest, 'method'>; readonly mustFail: boolean };

function path(route: Route, example: RouteExample, changed: Readonly<Record<string, string>> = {}): string {
  return route.path.replaceAll(
    /:(\w+)/g,
    (_, name: string) => changed[name] ?? encodeURIComponent(example.params?.[name] ?? ''),
  );
}

function addressOf(route: Route, example: RouteExample): string {
  const query = new URLSearchParams(example.query).toString();
  return query === '' ? path(route, example) : `${path(route, example)}?${query}`;
}

function malformedPaths(route: Route, example: RouteExample): readonly Malformed[] {
  return Object.keys(route.params?.shape ?? {}).flatMap((name) =>
    hostilePathTexts.map((text) => ({
      about: `${name} = ${text.slice(0, 40)}`,
      request: { path: path(route, example, { [name]: text }), ...bodyOf(example) },
      mustFail: true,
    })),
  );
}

function malformedQueries(route: Route, example: RouteExample): readonly Malformed[] {
  const fields = Object.keys(route.query?.shape ?? {});
  const texts = ['', 'abc', '-1', '1e309', '9'.repeat(40), '%00', '%FF', '%ED%A0%80', '[]', 'x'.repeat(5_000)];
  const queries = [
    ...fields.flatMap((field) => texts.map((text) => `${field}=${text}`)),
    ...fields.map((field) => `${field}=1&${field}=2`),
    'unknown=%00',
    '%00=1',
    '__proto__=1',
    '&&&===',
    'a[b][c]=1',
  ];
  return queries.map((query) => ({
    about: `?${query.slice(0, 40)}`,
    request: { path: `${path(route, example)}?${query}`, ...bodyOf(example) },
    mustFail: query.includes('%00'),
  }));
}

function malformedBodies(route: Route, example: RouteExample): readonly Malformed[] {
  const address = path(route, example);
  const whole = hostileBodies(route.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES).map(
    ({ name, contentType, body, headers }) => ({
      about: `body: ${name}`,
      request: {
        path: address,
        body,
        headers: { ...headers, ...(contentType === undefined ? {} : { 'content-type': contentType }) },
      },
      // HTTP gives the body of a GET no meaning: it is not read.
      mustFail: route.method !== 'GET',
    }),
  );
  if (typeof example.body !== 'object' || example.body === null) return whole;
  const fields = Object.entries(example.body).flatMap(([field, good]) =>
    hostileJsonValues.map((value) => ({
      about: `body.${field} = ${JSON.stringify(value).slice(0, 40)}`,
      request: { path: address, ...jsonOf({ ...(example.body as object), [field]: value }) },
      mustFail: typeof value !== typeof good,
    })),
  );
  const missing = { about: 'no body', request: { path: address }, mustFail: true };
  return [...whole, ...fields, missing];
}

function malformedBytes(route: Route, example: RouteExample): readonly Malformed[] {
  const { maxBodyBytes = DEFAULT_MAX_BODY_BYTES } = route;
  const good = Buffer.from(example.bytes ?? '');
  const bodies: readonly (readonly [about: string, body: Uint8Array, contentType: string])[] = [
    ['of another type', good, 'text/plain'],
    ['of a type that is none', good, '\u00ff/\u00ff'],
    ['JSON', Buffer.from('{"a":1}'), 'application/json'],
    ['cut short', good.subarray(0, -1), 'application/octet-stream'],
    ['with a byte too many', Buffer.concat([good, Buffer.of(0)]), 'application/octet-stream'],
    ['zeros', Buffer.alloc(1_001), 'application/octet-stream'],
    ['larger than may be', Buffer.alloc(maxBodyBytes + 1), 'application/octet-stream'],
  ];
  const address = `${path(route, example)}?${new URLSearchParams(example.query).toString()}`;
  return bodies.map(([about, body, contentType]) => ({
    about: `bytes ${about}`,
    request: { path: address, body, headers: { 'content-type': contentType } },
    mustFail: true,
  }));
}

function bodyOf({ body, bytes }: RouteExample): Pick<RawRequest, 'body' | 'headers'> {
  return bytes ? { body: bytes, headers: { 'content-type': 'application/octet-stream' } } : jsonOf(body);
}

function jsonOf(body: unknown): Pick<RawRequest, 'body' | 'headers'> {
  return body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function assertOrderly(reply: RawReply, route: Route, { about, mustFail }: Malformed): void {
  const facts = `${about}: ${reply.status} ${reply.text.slice(0, 300)}`;
  if (reply.status < 400) return assert.equal(mustFail, false, facts);
  assert.ok(reply.status < 500, facts);
  const problem = Problem.strict().safeParse(reply.json);
  assert.ok(problem.success, facts);
  const declared = [...commonCodes, ...(route.errors ?? []).map(({ code }) => code)];
  assert.ok(declared.includes(problem.data.code), facts);
}

for (const { name, route } of allRoutes.filter((entry) => ['api', 'storage'].includes(roleOf(entry.route)))) {
  test(`${name} answers malformed requests with declared problems, and good ones before and after`, async () => {
    const make = routeExamples[name];
    assert.ok(make, `${name} has no example: add one to testing/route-examples.ts`);
    const example = await make(world);
    const kind = isOpen(route.permission) ? undefined : principalsOf(route).at(-1);
    const proof = kind === undefined ? undefined : proofs[roleOf(route) === 'storage' ? 'deviceAtStorage' : kind];
    const send = async (request: Omit<RawRequest, 'method'>, from: RouteExample = example) => {
      const proven = proof ? await (from.browser?.proof ?? proof)({ method: route.method, path: request.path }) : {};
      const headers = { ...request.headers, ...proven, ...from.headers };
      return sendRaw(cloud.url, { ...request, method: route.method, headers });
    };
    const good = async () => {
      const fresh = await make(world);
      const reply = await send({ path: addressOf(route, fresh), ...bodyOf(fresh) }, fresh);
      assert.equal(reply.status, route.status, reply.text);
    };
    await good();
    const withBody = isBytes(route.body) ? malformedBytes(route, example) : malformedBodies(route, example);
    for (const malformed of [...malformedPaths(route, example), ...malformedQueries(route, example), ...withBody])
      assertOrderly(await send(malformed.request), route, malformed);
    await good();
    assert.deepEqual(cloud.faults, []);
  });
}

test('addresses and methods nobody declared are not found, whoever asks', async () => {
  for (const [method, address] of [
    ['GET', '/v1/nothing'],
    ['TRACE', '/v1/users'],
    ['PUT', '/v1/customer'],
    ['HEAD', '/v1/customer'],
    ['OPTIONS', '/v1/users'],
    ['GET', '//v1/users'],
    ['GET', '/V1/users'],
  ] as const) {
    const reply = await sendRaw(cloud.url, { method, path: address });
    assert.equal(reply.status, 404, `${method} ${address}: ${reply.text}`);
    if (method !== 'HEAD') assert.equal(Problem.parse(reply.json).code, 'request.no_route');
  }
});

test('bytes that are no HTTP, and headers without an end, get a problem or a closed connection', async () => {
  const garbage = [
    '\u0000\u0001\u0002\r\n\r\n',
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET / HTTP/1.1\r\nx: ${'y'.repeat(99_999)}\r\n\r\n`,
  ];
  for (const text of garbage) {
    const reply = await exchange(text);
    assert.match(reply, /^(HTTP\/1\.1 4\d\d [^]*"code":"request\.\w+")?/, text.slice(0, 30));
    assert.ok(!reply.startsWith('HTTP/1.1 2') && !reply.startsWith('HTTP/1.1 5'), reply);
  }
  const good = await exchange(
    `GET /.well-known/jwks.json HTTP/1.1\r\nhost: ${new URL(cloud.url).host}\r\nconnection: close\r\n\r\n`,
  );
  assert.match(good, /^HTTP\/1\.1 200 /);
});

/** Sends text on a bare connection and gives back all that comes until it closes. */
function exchange(text: string): Promise<string> {
  const { hostname, port } = new URL(cloud.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let received = '';
    socket.setTimeout(10_000, () => socket.destroy(new Error('the server neither answered nor closed')));
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(received) : reject(error),
    );
    socket.on('close', () => resolve(received));
  });
}
