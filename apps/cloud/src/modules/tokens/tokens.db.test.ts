import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { CodedError, manualClock } from '@holdfast/base';
import { importJWK, jwtVerify, SignJWT, UnsecuredJWT, type JWK } from 'jose';
import {
  makeDevice,
  makeDpop,
  makeWorld,
  startTestCloud,
  startTestCluster,
  type TenantWorld,
  type TestCloud,
  type TestCluster,
} from '../../testing.ts';
import {
  ASSERTION_NONCE_MS,
  createNonces,
  createSigningKeys,
  createTokenKeys,
  issueToken,
  KEY_TIMES,
  PROOF_NONCE_MS,
  TOKEN_SECONDS,
  verifyAssertion,
  verifyProof,
  verifyToken,
  type ProofDeps,
} from './index.ts';
import { listTokenKeys } from './store.ts';

const clock = manualClock(Date.parse('2026-05-01T00:00:00Z'));
let cluster: TestCluster;
let cloud: TestCloud;
let world: TenantWorld;
let proofs: ProofDeps;
before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster, { clock });
  world = await makeWorld(cloud, 'tokens');
  proofs = { database: cloud.database, nonces: cloud.api.nonces, nowMs: () => clock.now() };
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

const issuer = () => ({ keys: cloud.api.keys, installationId: cloud.api.installationId, clock });
const subject = () => ({
  tenantId: world.tenant.tenantUid,
  principalId: world.device.deviceId,
  kind: 'device' as const,
  scopes: ['archive.own'] as const,
  audience: 'storage' as const,
  keyThumbprint: world.device.thumbprint,
});
const refused = (code: string) => (error: unknown) => error instanceof CodedError && error.code === code;

test('a token says who, whose, what for and until when, and anybody can verify it with the published keys', async () => {
  const token = await issueToken(issuer(), subject());
  const { keys } = (await (await fetch(`${cloud.url}/.well-known/jwks.json`)).json()) as { keys: JWK[] };
  const [jwk] = keys;
  assert.ok(jwk);
  assert.deepEqual(Object.keys(jwk).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x']);
  const currentDate = new Date(clock.now());
  const { payload } = await jwtVerify(token, await importJWK(jwk, 'EdDSA'), { currentDate });
  const { tenantUid, sub, kind, scope, aud, exp, iat, cnf } = payload;
  assert.deepEqual([tenantUid, sub, kind], [world.tenant.tenantUid, world.device.deviceId, 'device']);
  assert.deepEqual([scope, cnf], ['archive.own', { jkt: world.device.thumbprint }]);
  assert.equal(aud, `holdfast:${cloud.api.installationId}:storage`);
  assert.equal(Number(exp) - Number(iat), TOKEN_SECONDS);
});

test('a token is for one audience, and expires', async () => {
  const token = await issueToken(issuer(), subject());
  assert.equal((await verifyToken(issuer(), 'storage', token)).principalId, world.device.deviceId);
  await assert.rejects(verifyToken(issuer(), 'api', token), refused('auth.invalid'));
  await assert.rejects(
    verifyToken({ ...issuer(), installationId: world.tenant.tenantUid }, 'storage', token),
    refused('auth.invalid'),
  );
  clock.advance(TOKEN_SECONDS * 1000 + 1);
  await assert.rejects(verifyToken(issuer(), 'storage', token), refused('auth.expired'));
});

test('a token nobody signed, signed by another, or of another kind of JWT is no token', async () => {
  const good = await issueToken(issuer(), subject());
  await verifyToken(issuer(), 'storage', good);
  const [header = '', body = '', signature = ''] = good.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string };
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const { publicKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const changed = Buffer.from(JSON.stringify({ ...claims, tenantUid: world.rootOrgId })).toString('base64url');
  const { privateKey } = await cloud.api.keys.signing();
  const bad = [
    new UnsecuredJWT(claims).encode(),
    await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt' }).sign(stranger),
    await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: 'unknown', typ: 'at+jwt' }).sign(stranger),
    await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid }).sign(privateKey),
    await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid, typ: 'dpop+jwt' }).sign(privateKey),
    await new SignJWT({ ...claims, cnf: undefined })
      .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt' })
      .sign(privateKey),
    await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt' })
      .sign(rsa.export({ type: 'spki', format: 'der' })),
    `${header}.${changed}.${signature}`,
    `${header}.${body}.`,
    'a.b.c',
    '',
  ];
  for (const token of bad) await assert.rejects(verifyToken(issuer(), 'storage', token), refused('auth.invalid'));
});

test('a proof is accepted once, over all nodes, from the key the token is bound to and for this request alone', async () => {
  const token = 'the-access-token';
  const url = 'https://cloud.example/v1/segments/7';
  const { device } = world;
  const expected = {
    tenantId: world.tenant.tenantUid,
    method: 'PUT',
    url,
    accessToken: token,
    keyThumbprint: device.thumbprint,
  };
  const make = async (changes: Record<string, unknown> = {}, by = device) =>
    makeDpop(by, { method: 'PUT', url, token, nonce: await proofs.nonces.make() }, changes);
  const otherNode = createNonces({ database: cloud.database, kms: cloud.kms.forRole('api'), clock });
  for (const changes of [{}, { iat: 4e9 }, { iat: -4e9 }, { htu: `${url}?a=1#b` }, { nonce: await otherNode.make() }])
    await verifyProof(proofs, await make(changes), expected);

  const once = await make();
  await verifyProof(proofs, once, expected);
  await assert.rejects(verifyProof({ ...proofs, nonces: otherNode }, once, expected), refused('auth.invalid'));

  const thief = await makeDevice(world, null);
  const wrong = [
    await make({}, thief),
    await make({ htm: 'GET' }),
    await make({ htu: `${url}8` }),
    await make({ htu: 'https://elsewhere.example/v1/segments/7' }),
    await make({ htu: 'rubbish' }),
    await make({ ath: 'x' }),
    await make({ ath: undefined }),
    await make({ jti: '' }),
    await make({ jti: 'x'.repeat(300) }),
    `${once.slice(0, -4)}AAAA`,
    'rubbish',
  ];
  for (const proof of wrong) await assert.rejects(verifyProof(proofs, proof, expected), refused('auth.invalid'));
});

test('a key in a proof must be public, and of an accepted algorithm', async () => {
  const { device } = world;
  const about = { method: 'GET', url: 'https://c.example/', token: 't', nonce: await proofs.nonces.make() };
  const expected = {
    tenantId: world.tenant.tenantUid,
    method: 'GET',
    url: about.url,
    accessToken: 't',
    keyThumbprint: device.thumbprint,
  };
  const privateJwk = device.privateKey.export({ format: 'jwk' }) as JWK;
  const leaking = await makeDpop({ ...device, publicJwk: privateJwk }, about);
  await assert.rejects(verifyProof(proofs, leaking, expected), refused('auth.invalid'));
  const claims = { jti: '12345678', htm: 'GET', htu: about.url, iat: 1, ath: 'x', nonce: about.nonce };
  const symmetric = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: { kty: 'oct', k: 'AAAA' } as never })
    .sign(Buffer.alloc(32));
  await assert.rejects(verifyProof(proofs, symmetric, expected), refused('auth.invalid'));
  await verifyProof(proofs, await makeDpop(device, about), expected);
});

test('a proof without a fresh nonce of ours is answered with one that works', async () => {
  const { device } = world;
  const about = { method: 'GET', url: 'https://c.example/', token: 't' };
  const expected = {
    tenantId: world.tenant.tenantUid,
    method: 'GET',
    url: about.url,
    accessToken: 't',
    keyThumbprint: device.thumbprint,
  };
  const old = await proofs.nonces.make();
  const strange = createNonces({ database: cloud.database, kms: cloud.kms.forRole('storage'), clock });
  clock.advance(PROOF_NONCE_MS + 1);
  for (const nonce of [old, await strange.make(), '', 'AAAA', 'x'.repeat(30)]) {
    const error: unknown = await verifyProof(proofs, await makeDpop(device, { ...about, nonce }), expected).catch(
      (caught: unknown) => caught,
    );
    assert.ok(error instanceof CodedError && error.code === 'auth.use_nonce', String(error));
    const given = String(error.details['dpopNonce']);
    await verifyProof(proofs, await makeDpop(device, { ...about, nonce: given }), expected);
  }
});

test('an assertion is for one device and installation, once, within a minute of the nonce, whatever its own clock', async () => {
  const { device } = world;
  const audience = cloud.api.installationId;
  const expected = {
    tenantId: world.tenant.tenantUid,
    deviceId: device.deviceId,
    audience,
    publicJwk: device.publicJwk,
  };
  const make = async (changes: Record<string, unknown> = {}, key = device.privateKey) => {
    const base = { iss: device.deviceId, sub: device.deviceId, aud: audience, jti: crypto.randomUUID() };
    const claims = { ...base, nonce: await proofs.nonces.make(), ...changes };
    return new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA' }).sign(key);
  };
  for (const changes of [{}, { iat: 4e9, exp: 4e9 }, { iat: 1, exp: 2 }])
    await verifyAssertion(proofs, await make(changes), expected);
  const once = await make();
  await verifyAssertion(proofs, once, expected);
  await assert.rejects(verifyAssertion(proofs, once, expected), refused('auth.invalid'));
  const other = await makeDevice(world, null);
  for (const assertion of [
    await make({ aud: 'elsewhere' }),
    await make({ aud: [audience, 'elsewhere'] }),
    await make({ iss: other.deviceId }),
    await make({ sub: other.deviceId }),
    await make({ jti: undefined }),
    await make({}, other.privateKey),
    new UnsecuredJWT({ iss: device.deviceId }).encode(),
  ])
    await assert.rejects(verifyAssertion(proofs, assertion, expected), refused('auth.invalid'));
  const late = await make();
  clock.advance(ASSERTION_NONCE_MS + 1);
  await assert.rejects(verifyAssertion(proofs, late, expected), refused('auth.use_nonce'));
});

test('keys change without a token becoming invalid, and the next is published before it signs', async () => {
  const node = () => createSigningKeys({ database: cloud.database, clock, kms: cloud.kms.forRole('api') });
  const first = await node().signing();
  const rows = await cloud.database.withoutTenant((tx) => listTokenKeys(tx, new Date(clock.now())));
  const endsAtMs = rows[0]?.signs_until.getTime() ?? 0;
  assert.equal(await node().rotate(), false);
  clock.advance(endsAtMs - KEY_TIMES.publishedBeforeMs / 2 - clock.now());
  const results = await Promise.all([node().rotate(), node().rotate(), node().rotate()]);
  assert.equal(results.filter(Boolean).length, 1);
  assert.equal((await createTokenKeys({ database: cloud.database, clock }).jwks()).length, 2);
  clock.advance(endsAtMs - 60_000 - clock.now());
  assert.equal((await node().signing()).keyId, first.keyId);
  const last = await issueToken({ ...issuer(), keys: node() }, subject());
  clock.advance(120_000);
  const second = await node().signing();
  assert.notEqual(second.keyId, first.keyId);
  await verifyToken({ ...issuer(), keys: node() }, 'storage', last);
  await verifyToken(
    { ...issuer(), keys: node() },
    'storage',
    await issueToken({ ...issuer(), keys: node() }, subject()),
  );
  clock.advance(KEY_TIMES.verifiesAfterMs);
  const left = await createTokenKeys({ database: cloud.database, clock }).jwks();
  assert.deepEqual(
    left.map(({ kid }) => kid),
    [second.keyId],
  );
});

test('a role that only verifies does so with its own login', async () => {
  const storage = cloud.testDatabase.open('hf_storage');
  const keys = createTokenKeys({ database: storage, clock });
  const token = await issueToken(issuer(), subject());
  assert.equal((await verifyToken({ ...issuer(), keys }, 'storage', token)).kind, 'device');
  const nonces = createNonces({ database: storage, kms: cloud.kms.forRole('storage'), clock });
  const about = { method: 'PUT', url: 'https://c.example/s', token, nonce: await nonces.make() };
  const expected = {
    tenantId: world.tenant.tenantUid,
    method: 'PUT',
    url: about.url,
    accessToken: token,
    keyThumbprint: world.device.thumbprint,
  };
  await verifyProof(
    { database: storage, nonces, nowMs: () => clock.now() },
    await makeDpop(world.device, about),
    expected,
  );
});
