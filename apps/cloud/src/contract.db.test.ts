import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import {
  allRoutes,
  commonCodes,
  isBytes,
  isOpen,
  nothing,
  principalsOf,
  Problem,
  roleOf,
  type PrincipalKind,
  type Route,
} from '@holdfast/contract';
import {
  clientProof,
  deviceProof,
  endRawConnections,
  forgedProof,
  makeUser,
  makeWorld,
  routeExamples,
  sendRaw,
  signInAs,
  startTestCloud,
  startTestCluster,
  type Proof,
  type RawReply,
  type RouteExample,
  type TenantWorld,
  type TestCloud,
  type TestCluster,
} from './testing.ts';

/** Everybody who can ask, in one tenant. */
type Cast = {
  readonly world: TenantWorld;
  readonly proofs: Readonly<Record<Exclude<PrincipalKind, 'support'>, Proof>>;
  /** The same kinds, holding nothing. */
  readonly powerless: Readonly<Record<Exclude<PrincipalKind, 'support'>, Proof>>;
  /** The device with tokens for the role storage: one that holds its permission, one that holds nothing. */
  readonly atStorage: { readonly proof: Proof; readonly powerless: Proof };
};

let cluster: TestCluster;
let cloud: TestCloud;
let ours: Cast;
let theirs: Cast;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  ours = await makeCast('ours');
  theirs = await makeCast('theirs');
});
after(async () => {
  endRawConnections();
  await cloud.stop();
  await cluster.stop();
});

async function makeCast(slug: string): Promise<Cast> {
  const world = await makeWorld(cloud, slug);
  const nobody = await makeUser(world, { username: 'nobody', orgId: world.rootOrgId });
  const clientId = world.tenant.apiClientId.slice('key-'.length);
  return {
    world,
    proofs: {
      user: (await signInAs(world, world.admin)).proof,
      client: await clientProof(world),
      device: await deviceProof(world, 'api'),
    },
    powerless: {
      user: (await signInAs(world, nobody)).proof,
      client: forgedProof(world, { kind: 'client', principalId: clientId, scopes: [] }),
      device: await deviceProof(world, 'api', []),
    },
    atStorage: {
      proof: await deviceProof(world, 'storage'),
      powerless: await deviceProof(world, 'storage', []),
    },
  };
}

async function exampleOf(name: string, world: TenantWorld): Promise<RouteExample> {
  const make = routeExamples[name];
  assert.ok(make, `${name} has no example: add one to testing/route-examples.ts`);
  return make(world);
}

/** A good request without the credentials that may come with it. */
async function strangersExample(name: string): Promise<RouteExample> {
  const { browser: _, ...example } = await exampleOf(name, ours.world);
  return example;
}

function pathOf(route: Route, example: RouteExample): string {
  const path = route.path.replaceAll(/:(\w+)/g, (_, param: string) =>
    encodeURIComponent(example.params?.[param] ?? ''),
  );
  const query = new URLSearchParams(example.query).toString();
  return query === '' ? path : `${path}?${query}`;
}

async function ask(route: Route, example: RouteExample, proof?: Proof): Promise<RawReply> {
  const path = pathOf(route, example);
  const hasBody = example.body !== undefined;
  const proven = proof === undefined ? {} : await (example.browser?.proof ?? proof)({ method: route.method, path });
  return sendRaw(cloud.url, {
    method: route.method,
    path,
    headers: { ...contentTypeOf(example), ...proven, ...example.headers },
    ...(hasBody ? { body: JSON.stringify(example.body) } : {}),
    ...(example.bytes ? { body: example.bytes } : {}),
  });
}

function contentTypeOf({ body, bytes }: RouteExample): Record<string, string> {
  if (bytes) return { 'content-type': 'application/octet-stream' };
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

/** The reply is a problem with a code this route declares; returns it without its request id. */
function problemIn(reply: RawReply, route: Route, about: string): Omit<Problem, 'requestId'> {
  assert.match(String(reply.headers['content-type']), /^application\/problem\+json(; charset=utf-8)?$/, about);
  const { requestId, ...problem } = Problem.strict().parse(reply.json);
  assert.equal(reply.headers['x-request-id'], requestId, about);
  const declared = [...commonCodes, ...(route.errors ?? []).map(({ code }) => code)];
  assert.ok(declared.includes(problem.code), `${about}: ${problem.code} is not declared`);
  return problem;
}

function assertSuccess(reply: RawReply, route: Route, about: string): void {
  assert.equal(reply.status, route.status, `${about}: ${reply.text}`);
  if (route.reply === nothing) return assert.equal(reply.text, '', about);
  if (isBytes(route.reply)) return assert.equal(reply.headers['content-type'], route.reply.bytes, about);
  assert.deepEqual(route.reply.parse(reply.json), reply.json, `${about}: undeclared fields`);
}

/** Every place in an example where an id of the tenant stands. */
function idPlaces(example: RouteExample): readonly { part: 'params' | 'body'; field: string }[] {
  const isId = (value: unknown) => typeof value === 'string' && /^(key-)?[0-9a-f]{8}-[0-9a-f-]{27}$/.test(value);
  return (['params', 'body'] as const).flatMap((part) =>
    Object.entries(example[part] ?? {})
      .filter(([, value]) => isId(value))
      .map(([field]) => ({ part, field })),
  );
}

function withValue(
  example: RouteExample,
  place: { part: 'params' | 'body'; field: string },
  value: string,
): RouteExample {
  return { ...example, [place.part]: { ...(example[place.part] as object), [place.field]: value } };
}

/** Roles that this server mounts. */
const walked = allRoutes.filter(({ route }) => ['api', 'storage'].includes(roleOf(route)));

/** What a kind of principal shows to the role of a route; users and clients have nothing that storage would take. */
function proofOf(route: Route, cast: Cast, kind: keyof Cast['proofs']): Proof {
  return roleOf(route) === 'storage' && kind === 'device' ? cast.atStorage.proof : cast.proofs[kind];
}

test('every route has an example and every example a route', () => {
  const named = walked.map(({ name }) => name);
  assert.deepEqual(Object.keys(routeExamples).toSorted(), named.toSorted());
});

for (const { name, route } of walked) {
  describe(`${name} (${route.method} ${route.path})`, { concurrency: false }, () => {
    if (isOpen(route.permission)) {
      test('answers a good request of anybody as declared', async () => {
        assertSuccess(await ask(route, await exampleOf(name, ours.world)), route, name);
      });
      return;
    }
    const kinds = principalsOf(route).filter((kind) => kind !== 'support');

    test('answers every kind of principal it is for as declared', async () => {
      for (const kind of kinds)
        assertSuccess(
          await ask(route, await exampleOf(name, ours.world), proofOf(route, ours, kind)),
          route,
          `${name} ${kind}`,
        );
    });

    test('answers 401 without a token, with one that is none, and with one for another role', async () => {
      const example = await strangersExample(name);
      const [kind = 'client'] = kinds;
      const owner = kind === 'device' ? ours.world.device.deviceId : ours.world.admin.userId;
      const scopes = [route.permission] as never;
      const bad: readonly (readonly [string, Proof | undefined, code: string])[] = [
        ['nothing', undefined, 'auth.missing'],
        ['rubbish', async () => ({ authorization: 'Bearer rubbish' }), 'auth.invalid'],
        ['no scheme', async () => ({ authorization: 'rubbish' }), 'auth.invalid'],
        [
          'a wrong cookie',
          async () => ({ cookie: '__Host-holdfast=x' }),
          roleOf(route) === 'api' ? 'auth.invalid' : 'auth.missing',
        ],
        [
          'another audience',
          forgedProof(ours.world, {
            kind: 'client',
            principalId: owner,
            scopes,
            audience: roleOf(route) === 'api' ? 'storage' : 'api',
          }),
          'auth.invalid',
        ],
      ];
      for (const [what, proof, code] of bad) {
        const reply = await ask(route, example, proof);
        assert.equal(reply.status, 401, `${what}: ${reply.text}`);
        assert.equal(problemIn(reply, route, what).code, code, what);
      }
    });

    test('answers 401 to kinds of principal it is not for', async () => {
      const others = (['user', 'client', 'device'] as const).filter((kind) => !kinds.includes(kind));
      for (const kind of others) {
        const example = await strangersExample(name);
        const reply = await ask(route, example, ours.proofs[kind]);
        assert.equal(reply.status, 401, `${kind}: ${reply.text}`);
        // The role storage knows neither cookies nor tokens made for the api.
        const codes = roleOf(route) === 'api' ? ['auth.wrong_kind'] : ['auth.missing', 'auth.invalid'];
        assert.ok(codes.includes(problemIn(reply, route, kind).code), reply.text);
      }
    });

    test('answers 403 to who does not hold its permission', async () => {
      for (const kind of kinds) {
        const example = await strangersExample(name);
        const powerless = roleOf(route) === 'api' ? ours.powerless[kind] : ours.atStorage.powerless;
        const reply = await ask(route, example, powerless);
        assert.equal(reply.status, 403, `${kind}: ${reply.text}`);
        assert.equal(problemIn(reply, route, kind).code, 'auth.missing_permission');
      }
    });

    test('answers for an id of another tenant exactly as for one that nobody has', async () => {
      for (const kind of kinds) {
        const foreign = await exampleOf(name, theirs.world);
        for (const place of idPlaces(foreign)) {
          const own = await exampleOf(name, ours.world);
          const theirId = String((foreign[place.part] as Record<string, unknown>)[place.field]);
          const noId = theirId.replace(/[0-9a-f-]{36}$/, randomUUID());
          const about = `${place.part}.${place.field} as ${kind}`;
          const [asked, unknown] = [
            await ask(route, withValue(own, place, theirId), proofOf(route, ours, kind)),
            await ask(route, withValue(own, place, noId), proofOf(route, ours, kind)),
          ];
          assert.equal(asked.status, 404, `${about}: ${asked.text}`);
          assert.deepEqual(problemIn(asked, route, about), problemIn(unknown, route, about));
          assert.equal(asked.status, unknown.status);
        }
      }
    });
  });
}

test('no request of the walk met a fault of the server', () => {
  assert.deepEqual(cloud.faults, []);
});
