import { addApiClient } from '../modules/api-clients/index.ts';
import { appendKeyLogLeaf } from '../modules/keylog/index.ts';
import { base64, exampleArchive, ordinalBytes } from './example-archive.ts';
import { makeAssertion, makeEnrollment } from './example-device.ts';
import { exampleOfBegin, exampleOfComplete } from './example-takeover.ts';
import { releaseExamples } from './release-examples.ts';
import { makeDevice, signInAs, type TenantWorld, type TestBrowser } from './test-world.ts';

/** One good request to a route, as somebody of a tenant makes it. */
export type RouteExample = {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body of bytes instead. */
  readonly bytes?: Uint8Array;
  /** Extra headers, such as credentials of an open route. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Asks as this browser, or device, instead of the one that the walk has. */
  readonly browser?: TestBrowser;
};

/** Makes what a good request needs, new each time: a request may use it up. */
export type MakeExample = (world: TenantWorld) => RouteExample | Promise<RouteExample>;

/**
 * A good request for every route of the contract, by `noun.verb`. The contract walk fails for a route without one.
 *
 * Ids in `params` and `body` must be ids of that tenant: the walk exchanges them for another tenant's.
 */
export const routeExamples: Readonly<Record<string, MakeExample>> = {
  'oauth.token': ({ tenant }) => ({
    headers: {
      authorization: `Basic ${Buffer.from(`${tenant.apiClientId}:${tenant.apiClientSecret}`).toString('base64')}`,
    },
  }),
  'oauth.jwks': () => ({}),
  'sessions.signIn': ({ tenant, member, cloud }) => ({
    params: { slug: tenant.slug },
    body: { username: member.username, password: member.password },
    headers: { origin: cloud.url },
  }),
  'sessions.current': () => ({}),
  'sessions.signOut': async (world) => ({ browser: await signInAs(world, world.admin) }),
  'sessions.listOwn': () => ({}),
  'sessions.revokeOwn': async (world) => ({
    params: { sessionId: (await signInAs(world, world.admin)).sessionId },
  }),
  'sessions.listOf': ({ member }) => ({ params: { userId: member.userId } }),
  'sessions.revoke': async (world) => ({
    params: { userId: world.member.userId, sessionId: (await signInAs(world, world.member)).sessionId },
  }),
  'customer.get': () => ({}),
  'users.list': () => ({ query: { active: 'True', page: '1', pageSize: '50' } }),
  'users.roles': () => ({}),
  'users.role': () => ({ params: { roleId: 'org-admin' } }),
  'users.get': ({ member }) => ({ params: { userId: member.userId } }),
  'users.rolesOf': ({ member }) => ({ params: { userId: member.userId } }),
  'users.setRoles': ({ member }) => ({ params: { userId: member.userId }, body: { roleIds: ['desktop-user'] } }),
  'orgs.list': () => ({ query: { page: '1' } }),
  'orgs.get': ({ childOrgId }) => ({ params: { orgGuid: childOrgId } }),
  'policies.get': ({ childOrgId }) => ({ params: { orgGuid: childOrgId } }),
  'policies.put': async (world) => ({
    params: { orgGuid: world.childOrgId },
    body: { own: { settings: { coldStorageDays: 30 }, locked: ['escrow'] }, revision: await revisionOf(world) },
  }),
  'apiClients.list': () => ({}),
  'apiClients.create': ({ childOrgId }) => ({
    body: { name: 'Reporting', roleId: 'desktop-user', orgGuid: childOrgId },
  }),
  'apiClients.rotate': async (world) => ({
    params: { clientId: await newClientId(world) },
    body: { overlapSeconds: 60 },
  }),
  'apiClients.revoke': async (world) => ({ params: { clientId: await newClientId(world) } }),
  'audit.entries': () => ({ query: { from: '0', limit: '100' } }),
  'audit.heads': () => ({ query: { limit: '5' } }),
  'keyLog.head': () => ({}),
  'keyLog.leaves': async (world) => {
    await withOneLeaf(world);
    return { query: { from: '0', limit: '10' } };
  },
  'keyLog.inclusion': (world) => withOneLeaf(world),
  'keyLog.consistency': () => ({ query: { fromSize: '0', toSize: '0' } }),
  'ownKeyLog.head': () => ({}),
  'ownKeyLog.leaves': async (world) => {
    await withOneLeaf(world);
    return { query: { from: '0', limit: '10' } };
  },
  'ownKeyLog.inclusion': (world) => withOneLeaf(world),
  'ownKeyLog.consistency': () => ({ query: { fromSize: '0', toSize: '0' } }),
  'enrollmentTokens.create': ({ childOrgId }) => ({ body: { orgGuid: childOrgId, uses: 2, days: 1 } }),
  'enrollmentTokens.list': () => ({}),
  'enrollmentTokens.revoke': async ({ cloud, tenant }) => ({
    params: { tokenId: (await cloud.clientOf(tenant).enrollmentTokens.create({ body: {} })).tokenId },
  }),
  'devices.enroll': async (world) => ({ body: (await makeEnrollment(world)).body }),
  'devices.token': async (world) => ({
    body: { assertion: await makeAssertion(world, world.device), audience: 'storage' },
  }),
  'devices.heartbeat': () => ({ body: { agentVersion: '0.1.0', os: 'Linux 6.1' } }),
  'devices.deauthorize': async (world) => ({
    params: { deviceUid: (await makeDevice(world, world.member.userId)).deviceId },
  }),
  'takeovers.begin': exampleOfBegin,
  'takeovers.complete': exampleOfComplete,
  ...releaseExamples,
  'storage.list': () => ({}),
  'storage.create': async (world) => {
    const { maker } = await exampleArchive(world);
    const [header, keyring] = maker.records.map(({ bytes }) => base64(bytes));
    return { body: { header, keyring } };
  },
  'storage.addKeyring': async (world) => {
    const archive = await exampleArchive(world);
    return { params: { archiveId: archive.archiveId }, body: { keyring: base64(await archive.nextKeyring()) } };
  },
  'storage.openSession': async (world) => {
    const { archiveId } = await exampleArchive(world);
    return { params: { archiveId }, body: { known: { number: 1, sha256: '0'.repeat(64) } } };
  },
  'storage.append': async (world) => {
    const archive = await exampleArchive(world);
    const { session, nextFragment } = await archive.openSession();
    const query = { session: String(session), sequence: String(nextFragment) };
    return { params: { archiveId: archive.archiveId }, query, bytes: archive.newBlock() };
  },
  'storage.read': async (world) => {
    const { archiveId } = await exampleArchive(world);
    return { params: { archiveId }, bytes: ordinalBytes([0, 1, 2 ** 40]) };
  },
  'storage.ordinals': async (world) => {
    const { archiveId } = await exampleArchive(world);
    return { params: { archiveId }, query: { kind: '3' } };
  },
  'storage.records': async (world) => {
    const { archiveId } = await exampleArchive(world);
    return { params: { archiveId }, query: { kind: 'keyring', after: '0' } };
  },
};

async function revisionOf({ cloud, tenant, childOrgId }: TenantWorld): Promise<number> {
  const { revision } = await cloud.clientOf(tenant).policies.get({ params: { orgGuid: childOrgId } });
  return revision;
}

async function newClientId({ cloud, tenant: { tenantUid: tenantId }, childOrgId }: TenantWorld): Promise<string> {
  const client = {
    tenantId,
    orgId: childOrgId,
    name: 'Spare',
    roleId: 'desktop-user',
    at: new Date(cloud.clock.now()),
  };
  return (await cloud.database.withTenant(tenantId, (tx) => addApiClient(tx, client))).clientId;
}

/** Asks about the first leaf of the tenant's key log, having added one. */
async function withOneLeaf({ cloud, tenant: { tenantUid: tenantId }, device }: TenantWorld) {
  const publicKey = device.publicJwk.x ?? '';
  await cloud.database.withTenant(tenantId, (tx) =>
    appendKeyLogLeaf(
      tx,
      { tenantId, at: new Date(cloud.clock.now()) },
      { kind: 'key_registered', deviceUid: device.deviceId, publicKey },
    ),
  );
  return { query: { logIndex: '0', treeSize: '1' } };
}
