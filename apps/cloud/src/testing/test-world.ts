import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { newId } from '@holdfast/base';
import type { Permission, PrincipalKind, ServingRole } from '@holdfast/contract';
import { SignJWT, type JWK } from 'jose';
import type { NewTenant } from '../bootstrap.ts';
import { insertDevice } from '../modules/devices/index.ts';
import { addUser, insertAssignment, type RoleId } from '../modules/identity/index.ts';
import { addOrg, findRootOrgId } from '../modules/orgs/index.ts';
import { addLocator } from '../modules/tenants/index.ts';
import { issueToken, thumbprintOf } from '../modules/tokens/index.ts';
import { sha256 } from '../platform/digest.ts';
import { hashPassword } from '../platform/password.ts';
import { sendRaw, type RawReply } from './raw-request.ts';
import type { TestCloud } from './test-cloud.ts';

/** Headers that prove who asks, for one request. */
export type Proof = (request: { readonly method: string; readonly path: string }) => Promise<Record<string, string>>;

/** Somebody with a password. */
export type TestUser = { readonly userId: string; readonly username: string; readonly password: string };

/** A browser that is signed in. */
export type TestBrowser = { readonly sessionId: string; readonly cookie: string; readonly proof: Proof };

/** A device with its key. */
export type TestDevice = {
  readonly deviceId: string;
  readonly publicJwk: JWK;
  readonly privateKey: KeyObject;
  readonly thumbprint: string;
};

/** A tenant with people and a device, and proofs of each. */
export type TenantWorld = {
  readonly cloud: TestCloud;
  readonly tenant: NewTenant;
  readonly rootOrgId: string;
  /** An org below the root. */
  readonly childOrgId: string;
  readonly admin: TestUser;
  readonly member: TestUser;
  readonly device: TestDevice;
};

const memberPassword = 'correct horse battery staple';
let memberHash: Promise<string> | undefined;

/** Makes a tenant with an org below its root, a member in it, and a device. */
export async function makeWorld(cloud: TestCloud, slug: string): Promise<TenantWorld> {
  const tenant = await cloud.addTenant(slug);
  const { tenantUid: tenantId } = tenant;
  const at = new Date(cloud.clock.now());
  const { rootOrgId, childOrgId } = await cloud.database.withTenant(tenantId, async (tx) => {
    const rootOrgId = (await findRootOrgId(tx, tenantId)) ?? '';
    const childOrgId = await addOrg(tx, { tenantId, name: 'Sales', parentOrgId: rootOrgId, at });
    return { rootOrgId, childOrgId };
  });
  const world = { cloud, tenant, rootOrgId, childOrgId };
  const member = await makeUser(world, { username: `member@${slug}`, orgId: childOrgId, roleId: 'desktop-user' });
  const device = await makeDevice(world, member.userId);
  const { users } = await cloud.clientOf(tenant).users.list({ query: { username: tenant.adminUsername } });
  const admin = { userId: users[0]?.userId ?? '', username: tenant.adminUsername, password: tenant.adminPassword };
  return { ...world, admin, member, device };
}

type Place = Pick<TenantWorld, 'cloud' | 'tenant'>;

/** Adds a user with a password, and a role where one is named. */
export async function makeUser(
  { cloud, tenant: { tenantUid: tenantId } }: Place,
  wanted: { readonly username: string; readonly orgId: string; readonly roleId?: RoleId },
): Promise<TestUser> {
  const passwordHash = await (memberHash ??= hashPassword(memberPassword));
  const at = new Date(cloud.clock.now());
  const { username, orgId, roleId } = wanted;
  const userId = await cloud.database.withTenant(tenantId, async (tx) => {
    const made = await addUser(tx, { tenantId, orgId, username, passwordHash, at });
    const role = { org_id: orgId, role_id: roleId ?? '', assigned_at: at };
    if (roleId) await insertAssignment(tx, { tenant_id: tenantId, principal_id: made, ...role });
    return made;
  });
  return { userId, username, password: memberPassword };
}

/** Adds a device with a key of its own. */
export async function makeDevice(
  { cloud, tenant: { tenantUid: tenantId }, childOrgId }: Place & { readonly childOrgId: string },
  userId: string | null,
): Promise<TestDevice> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicJwk = publicKey.export({ format: 'jwk' }) as JWK;
  const thumbprint = await thumbprintOf(publicJwk);
  const at = new Date(cloud.clock.now());
  const deviceId = newId<'device'>(at.getTime());
  await cloud.database.withTenant(tenantId, async (tx) => {
    await addLocator(tx, tenantId, 'device', deviceId);
    await insertDevice(tx, {
      tenant_id: tenantId,
      device_id: deviceId,
      org_id: childOrgId,
      user_id: userId,
      name: 'laptop',
      public_jwk: JSON.stringify(publicJwk),
      key_thumbprint: thumbprint,
      created_at: at,
      modified_at: at,
    });
  });
  return { deviceId, publicJwk, privateKey, thumbprint };
}

/** Tries to sign in with a name and a password, as anybody can. */
export function trySignIn(
  cloud: TestCloud,
  attempt: {
    readonly slug: string;
    readonly username: string;
    readonly password: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<RawReply> {
  const { slug, username, password, headers = {} } = attempt;
  return sendRaw(cloud.url, {
    method: 'POST',
    path: `/t/${slug}/v1/sessions`,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ username, password }),
  });
}

/** Signs in as a browser would. */
export async function signInAs(world: Place, user: TestUser): Promise<TestBrowser> {
  const { cloud, tenant } = world;
  const { username, password } = user;
  const reply = await trySignIn(cloud, { slug: tenant.slug, username, password, headers: { origin: cloud.url } });
  if (reply.status !== 201) throw new Error(`signing in failed: ${reply.text}`);
  const { sessionId, csrfToken } = reply.json as { sessionId: string; csrfToken: string };
  const cookie = [reply.headers['set-cookie']]
    .flat()
    .map((line) => (line ?? '').split(';')[0])
    .join('; ');
  const headers = { cookie, 'x-csrf-token': csrfToken, origin: cloud.url, 'sec-fetch-site': 'same-origin' };
  return { sessionId, cookie, proof: async () => ({ ...headers }) };
}

/** A token of the tenant's first API client, got the way clients get one. */
export async function clientProof({ cloud, tenant }: Place): Promise<Proof> {
  const basic = Buffer.from(`${tenant.apiClientId}:${tenant.apiClientSecret}`).toString('base64');
  const headers = { authorization: `Basic ${basic}` };
  const reply = await sendRaw(cloud.url, { method: 'POST', path: '/v1/oauth', headers });
  const { access_token: token } = reply.json as { access_token: string };
  return async () => ({ authorization: `Bearer ${token}` });
}

/** A token made past all routes, for asking with what no route would give. */
export function forgedProof(
  { cloud, tenant }: Place,
  wanted: {
    readonly kind: PrincipalKind;
    readonly principalId: string;
    readonly scopes: readonly Permission[];
    readonly audience?: ServingRole;
  },
): Proof {
  const { keys, installationId } = cloud.api;
  const subject = { tenantId: tenant.tenantUid, audience: 'api', ...wanted } as const;
  return async () => ({
    authorization: `Bearer ${await issueToken({ keys, installationId, clock: cloud.clock }, subject)}`,
  });
}

/** A device's token for a role, with a fresh proof that it holds its key at every request. */
export async function deviceProof(
  { cloud, tenant, device }: Place & { readonly device: TestDevice },
  audience: ServingRole,
  scopes: readonly Permission[] = ['archive.own', 'key_log.own'],
): Promise<Proof> {
  const { keys, installationId } = cloud.api;
  const issuer = { keys, installationId, clock: cloud.clock };
  const subject = {
    tenantId: tenant.tenantUid,
    principalId: device.deviceId,
    kind: 'device',
    scopes,
    audience,
  } as const;
  const token = await issueToken(issuer, { ...subject, keyThumbprint: device.thumbprint });
  return async ({ method, path }) => {
    const nonce = await (audience === 'storage' ? cloud.storage : cloud.api).nonces.make();
    const proof = await makeDpop(device, { method, url: cloud.url + path.split('?')[0], token, nonce });
    return { authorization: `DPoP ${token}`, dpop: proof };
  };
}

/** A proof of possession (RFC 9449); fields given in `changes` replace the right ones. */
export function makeDpop(
  device: Pick<TestDevice, 'publicJwk' | 'privateKey'>,
  about: { readonly method: string; readonly url: string; readonly token: string; readonly nonce: string },
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const claims = {
    jti: newId(),
    htm: about.method,
    htu: about.url,
    iat: 1,
    ath: sha256(about.token).toString('base64url'),
    nonce: about.nonce,
    ...changes,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA', typ: 'dpop+jwt', jwk: device.publicJwk })
    .sign(device.privateKey);
}
