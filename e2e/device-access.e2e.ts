import assert from 'node:assert/strict';
import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  CloudDestination,
  createHttpsFetch,
  forgetDevice,
  heartbeat,
  keepHeartbeats,
  type DeviceKey,
} from '@holdfast/agent/cloud';
import { formatUuid, systemClock, type Clock } from '@holdfast/base';
import { api, deviceRoutes, roleOf, type Route } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { askEscrow } from './escrowed-device.ts';
import { ExampleLog } from './example-log.ts';
import { until } from './process-tree.ts';
import { enrollDevice, startRunningCloud, type EnrolledDevice, type RunningCloud } from './running-cloud.ts';

type Reply = {
  readonly status: number;
  readonly code: string;
  readonly json: Record<string, unknown>;
  readonly nonce: string;
};

/** The machine's clock, so much ahead. */
function skewedClock(): Clock & { skewMs: number } {
  return {
    skewMs: 0,
    now() {
      return Date.now() + this.skewMs;
    },
    monotonic() {
      return performance.now() + this.skewMs;
    },
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
  };
}

/** Requests with nothing done for the sender: what is sent is what is given. */
function bareClient(t: TestContext, device: EnrolledDevice) {
  const https = createHttpsFetch({ ca: device.enrollment.caPem ?? undefined });
  afterwards(t, () => https.close());
  const ask = async (
    method: string,
    address: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<Reply> => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = { method, headers: { ...type, ...headers }, ...(body === undefined ? {} : { body }) };
    const reply = await https.fetch(device.enrollment.url + address, sent);
    const json = (await reply.json().catch(() => ({}))) as Record<string, unknown>;
    return { status: reply.status, code: String(json['code']), json, nonce: reply.headers.get('dpop-nonce') ?? '' };
  };
  const token = async (audience: 'api' | 'storage', changes: Record<string, unknown> = {}) => {
    const claims = { iss: device.enrollment.deviceUid, sub: device.enrollment.deviceUid };
    const assertion = (nonce?: string) =>
      jwt(
        device.enrollment.deviceKey,
        {},
        { ...claims, aud: device.enrollment.installationId, jti: randomUUID(), nonce, ...changes },
      );
    const post = (text: string) =>
      ask('POST', deviceRoutes.token.path, {}, JSON.stringify({ assertion: text, audience }));
    const { nonce } = await post(assertion());
    return post(assertion(nonce));
  };
  return { ask, token };
}

function jwt(key: DeviceKey, header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'EdDSA', ...header })}.${part(claims)}`;
  const privateKey = createPrivateKey({ key: { ...key }, format: 'jwk' });
  return `${signed}.${sign(undefined, Buffer.from(signed), privateKey).toString('base64url')}`;
}

function proofBy(key: DeviceKey, claims: Record<string, unknown>): string {
  const { kty, crv, x } = key;
  return jwt(key, { typ: 'dpop+jwt', jwk: { kty, crv, x } }, { jti: randomUUID(), iat: 1, ...claims });
}

test('a token works with a fresh proof of its own key for this very request, and with nothing else', async (t) => {
  const clock = skewedClock();
  const { addTenant } = await startRunningCloud(t, { edges: { clock } });
  const tenant = await addTenant('home');
  const [device, other] = [await enrollDevice(t, tenant), await enrollDevice(t, tenant)];
  const { ask, token } = bareClient(t, device);
  const access = String((await token('storage')).json['access_token']);
  const apiAccess = String((await token('api')).json['access_token']);
  const { deviceKey, url } = device.enrollment;
  const ath = createHash('sha256').update(access).digest('base64url');
  const good = { htm: 'GET', htu: `${url}/v1/archives`, ath };
  const get = (proof: string | undefined, authorization = `DPoP ${access}`) =>
    ask('GET', '/v1/archives', { authorization, ...(proof === undefined ? {} : { dpop: proof }) });
  const first = await get(proofBy(deviceKey, good));
  assert.equal(first.code, 'auth.use_nonce', 'without a nonce');
  let { nonce } = first;
  const oldNonce = nonce;
  const accepted = async (about: string) => {
    const reply = await get(proofBy(deviceKey, { ...good, nonce }));
    assert.equal(reply.status, 200, `${about}: ${JSON.stringify(reply.json)}`);
    ({ nonce } = reply);
  };
  await accepted('genuine');
  const used = proofBy(deviceKey, { ...good, nonce });
  assert.equal((await get(used)).status, 200);
  const bearer = `Bearer ${access}`;
  const refused: readonly (readonly [string, () => Promise<Reply>, string])[] = [
    ['the same proof again', () => get(used), 'auth.invalid'],
    ['a proof of another key', () => get(proofBy(other.enrollment.deviceKey, { ...good, nonce })), 'auth.invalid'],
    ['for another method', () => get(proofBy(deviceKey, { ...good, nonce, htm: 'POST' })), 'auth.invalid'],
    ['for another address', () => get(proofBy(deviceKey, { ...good, nonce, htu: `${url}/v1/other` })), 'auth.invalid'],
    ['for another token', () => get(proofBy(deviceKey, { ...good, nonce, ath: 'A'.repeat(43) })), 'auth.invalid'],
    ['a nonce of nobody', () => get(proofBy(deviceKey, { ...good, nonce: 'A'.repeat(30) })), 'auth.use_nonce'],
    ['no proof', () => get(undefined), 'auth.invalid'],
    ['as a bearer token', () => get(proofBy(deviceKey, { ...good, nonce }), bearer), 'auth.invalid'],
    [
      'a token for another role',
      () => {
        const ath = createHash('sha256').update(apiAccess).digest('base64url');
        return get(proofBy(deviceKey, { ...good, ath, nonce }), `DPoP ${apiAccess}`);
      },
      'auth.invalid',
    ],
  ];
  for (const [about, attempt, code] of refused) {
    const reply = await attempt();
    assert.deepEqual([reply.status, reply.code], [401, code], about);
    await accepted(`after ${about}`);
  }
  clock.skewMs = 301_000;
  assert.equal((await get(proofBy(deviceKey, { ...good, nonce: oldNonce }))).code, 'auth.use_nonce', 'an old nonce');
  ({ nonce } = await get(proofBy(deviceKey, good)));
  await accepted('a fresh one');
  clock.skewMs = 901_000;
  ({ nonce } = await get(proofBy(deviceKey, good)));
  assert.equal((await get(proofBy(deviceKey, { ...good, nonce }))).code, 'auth.expired', 'a token that has ended');
});

test('an assertion is for one device, one installation and one use', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const device = await enrollDevice(t, tenant);
  const { token, ask } = bareClient(t, device);
  assert.equal((await token('storage')).status, 200);
  const stranger = randomUUID();
  const bad: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['another installation', { aud: stranger }, 'auth.invalid'],
    ['another subject', { sub: stranger }, 'auth.invalid'],
    ['another issuer', { iss: stranger }, 'auth.invalid'],
    ['no nonce', { nonce: undefined }, 'auth.use_nonce'],
    ['no jti', { jti: undefined }, 'auth.invalid'],
  ];
  for (const [about, change, code] of bad) {
    const reply = await token('storage', change);
    assert.deepEqual([reply.status, reply.code], [401, code], about);
    assert.equal((await token('api')).status, 200);
  }
  const post = (assertion: string) =>
    ask('POST', deviceRoutes.token.path, {}, JSON.stringify({ assertion, audience: 'api' }));
  const { deviceUid: iss, installationId: aud, deviceKey } = device.enrollment;
  const make = (nonce: string) => jwt(deviceKey, {}, { iss, sub: iss, aud, jti: randomUUID(), nonce });
  const once = make((await post(make('x'))).nonce);
  assert.equal((await post(once)).status, 200);
  assert.equal((await post(once)).code, 'auth.invalid', 'used again');
});

for (const days of [2, -2]) {
  test(`a device whose clock is ${days} days off enrols, backs up and is heard`, async (t) => {
    const { addTenant } = await startRunningCloud(t);
    const clock = { ...systemClock, now: () => Date.now() + days * 86_400_000 };
    const device = await enrollDevice(t, await addTenant('home'), { clock });
    const log = new ExampleLog(device.enrollment.escrowKeys);
    const { archiveId, keyRecords } = log;
    const facts = { archiveId, keyRecords, known: undefined, clock };
    const session = await CloudDestination.open(device.client, facts);
    const commit = await log.commit();
    await session.append(log.block().bytes);
    await session.append(commit.bytes);
    const word = await heartbeat(device.client, { agentVersion: '1', os: 'Linux' });
    assert.ok(Math.abs(Date.parse(word.serverTime) - Date.now()) < 60_000);
    assert.deepEqual((await CloudDestination.open(device.client, facts)).head, commit.name);
  });
}

test('a deauthorised device is refused within five seconds and forgets its keys; its archive stays', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const [device, other] = [await enrollDevice(t, tenant), await enrollDevice(t, tenant)];
  const log = new ExampleLog(device.enrollment.escrowKeys);
  const { archiveId, keyRecords } = log;
  const session = await CloudDestination.open(device.client, { archiveId, keyRecords, known: undefined });
  await session.append(log.block().bytes);
  for (const name of ['keys.json', 'index.db', 'index.db-wal', 'agent.db']) {
    writeFileSync(path.join(device.stateDir, name), 'secret');
  }
  const heard = Promise.withResolvers<unknown>();
  const options = {
    client: device.client,
    agentVersion: '1',
    os: 'Linux',
    clock: {
      ...systemClock,
      sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 250), signal),
    },
    signal: AbortSignal.timeout(30_000),
  };
  const beats = Promise.all([
    keepHeartbeats({ ...options, onWord: (word) => heard.resolve(word) }),
    keepHeartbeats(options),
  ]);
  await heard.promise;
  await tenant.client.devices.deauthorize({ params: { deviceUid: device.enrollment.deviceUid } });
  const begun = performance.now();
  assert.deepEqual(await beats, ['deauthorized', 'deauthorized'], 'whether anybody listens or not');
  const storageRefuses = async () =>
    CloudDestination.open(device.client, { archiveId, keyRecords, known: undefined }).then(
      () => false,
      (error: { code?: string }) => error.code === 'devices.deauthorized',
    );
  await until(storageRefuses, 'the refusal of storage', 10_000);
  assert.ok(performance.now() - begun < 5_500, `${performance.now() - begun} ms`);
  forgetDevice(device.stateDir);
  assert.deepEqual(readdirSync(device.stateDir), []);
  assert.ok(existsSync(path.join(running.homeDir, 'blobs', tenant.tenantUid, Buffer.from(archiveId).toString('hex'))));
  await heartbeat(other.client, { agentVersion: '1', os: 'Linux' });
  const strange = { params: { deviceUid: randomUUID() } };
  await assert.rejects(tenant.client.devices.deauthorize(strange), { code: 'devices.not_found' });
});

/** Every route of storage about one archive, as a request with a body that would be good. */
function archiveRequests(log: ExampleLog, archiveId: string) {
  const block = log.block().bytes;
  const keyring = Buffer.from(log.keyRecords[1]!).toString('base64');
  const inputs: Readonly<Record<string, object>> = {
    addKeyring: { body: { keyring } },
    openSession: { body: { known: null } },
    append: { query: { session: '1', sequence: '1' }, stream: new Uint8Array(block) },
    read: { stream: new Uint8Array(Buffer.from('000000000000010000000000', 'hex')) },
    ordinals: { query: {} },
    records: { query: { kind: 'header' } },
  };
  const routes = Object.entries(api.storage as Readonly<Record<string, Route>>);
  const ofArchive = routes.filter(([, route]) => route.path.includes(':archiveId'));
  assert.deepEqual(ofArchive.map(([verb]) => verb).toSorted(), Object.keys(inputs).toSorted());
  return ofArchive.map(([verb, route]) => ({ verb, route, input: { params: { archiveId }, ...inputs[verb] } }));
}

async function problemOf(work: Promise<unknown>) {
  const error = (await work.then(
    () => assert.fail('it was answered'),
    (thrown: unknown) => thrown,
  )) as { code: string; kind: string; message: string; details: Record<string, unknown> };
  const { requestId: _, ...details } = error.details;
  return { code: error.code, kind: error.kind, message: error.message, details };
}

test("another device's archive does not exist for a device, nor for an administrator, of whatever tenant", async (t) => {
  const running: RunningCloud = await startRunningCloud(t);
  const [ours, theirs] = [await running.addTenant('ours'), await running.addTenant('theirs')];
  const owner = await enrollDevice(t, ours);
  const strangers = [await enrollDevice(t, ours), await enrollDevice(t, theirs)];
  const log = new ExampleLog(owner.enrollment.escrowKeys);
  const { archiveId, keyRecords } = log;
  const open = () => CloudDestination.open(owner.client, { archiveId, keyRecords, known: undefined });
  await (await open()).append(log.block().bytes);
  for (const { verb, route, input } of archiveRequests(log, formatUuid(archiveId))) {
    assert.equal(roleOf(route), 'storage');
    const { opened } = await open();
    const place = { session: String(opened.session), sequence: String(opened.nextFragment) };
    const good = verb === 'append' ? { ...input, query: place } : input;
    await owner.client.call(route, good as never);
    const unknown = { ...good, params: { archiveId: randomUUID() } };
    for (const { client } of strangers) {
      const asked = await problemOf(client.call(route, good as never));
      assert.equal(asked.code, 'storage.not_found', verb);
      assert.deepEqual(asked, await problemOf(client.call(route, unknown as never)), verb);
    }
    for (const { client } of [ours, theirs]) {
      const call = Reflect.get(client.storage, verb) as (input: unknown) => Promise<unknown>;
      const asked = await problemOf(call(good));
      assert.equal(asked.code, 'auth.invalid', verb);
      assert.deepEqual(asked, await problemOf(call(unknown)), verb);
    }
  }
  // The very header of another device's archive begins nothing in its tenant, and in another tenant an empty one.
  const [header, keyring] = keyRecords.map((record) => Buffer.from(record).toString('base64'));
  const body = { header: header ?? '', keyring: keyring ?? '' };
  const [neighbour, foreigner] = strangers.map(({ client }) => client);
  assert.ok(neighbour && foreigner);
  assert.equal((await problemOf(neighbour.call(api.storage.create, { body }))).code, 'storage.archive_exists');
  assert.deepEqual((await neighbour.call(api.storage.list, {})).archives, []);
  const refused = await problemOf(foreigner.call(api.storage.create, { body }));
  assert.equal(refused.code, 'storage.keyring_lacks_escrow', 'its slots are for the keys of another tenant');
  await askEscrow(theirs, 'off');
  const begun = await foreigner.call(api.storage.create, { body });
  assert.deepEqual([begun.head, begun.storedBytes], [null, keyRecords[0]!.length + keyRecords[1]!.length]);
});
