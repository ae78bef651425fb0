import { defaultReleaseRules, releaseRequestSha256, signKeyVouch } from '@holdfast/trust';
import { exampleArchive } from './example-archive.ts';
import {
  approvalOf,
  approveAs,
  callOf,
  makePerson,
  releasesOf,
  requestOf,
  rulesOf,
  vouchFor,
  type ReleaseParty,
} from './example-release.ts';
import type { RouteExample } from './route-examples.ts';
import type { TestCloud } from './test-cloud.ts';
import { makeWorld, type TenantWorld } from './test-world.ts';

const tenants = new WeakMap<TestCloud, Promise<ReleaseParty>>();
let made = 0;

/** The first person of a tenant of its own, with an archive: its key is the tenant's first, so that nobody waits for a day. */
function firstPerson(cloud: TestCloud): Promise<ReleaseParty> {
  const before = tenants.get(cloud);
  if (before) return before;
  const begin = async () => {
    const world = await makeWorld(cloud, `releasing-${(made += 1)}`);
    const first = await makePerson(world, 'first', true);
    await exampleArchive(world);
    return first;
  };
  const first = begin();
  tenants.set(cloud, first);
  return first;
}

async function newAsker(cloud: TestCloud): Promise<{ first: ReleaseParty; asker: ReleaseParty }> {
  const first = await firstPerson(cloud);
  const asker = await makePerson(first.world, `asker ${(made += 1)}`);
  await vouchFor(first, asker);
  return { first, asker };
}

async function asked(cloud: TestCloud) {
  const { first, asker } = await newAsker(cloud);
  const request = await requestOf(asker);
  await releasesOf(first.world).request({ body: { request } });
  return { first, asker, request, about: releaseRequestSha256(request.text) };
}

/** A good request to each route of releases, by somebody of a tenant of its own. */
export const releaseExamples: Readonly<Record<string, (world: TenantWorld) => Promise<RouteExample>>> = {
  'releases.archive': async ({ cloud }) => {
    const { asker } = await newAsker(cloud);
    const { archiveId } = await exampleArchive(asker.world);
    return { body: { call: callOf(asker, 'archive', archiveId) } };
  },
  'releases.request': async ({ cloud }) => ({ body: { request: await requestOf((await newAsker(cloud)).asker) } }),
  'releases.approve': async ({ cloud }) => {
    const { first, request } = await asked(cloud);
    return { body: { tenantUid: first.world.tenant.tenantUid, approval: approvalOf(first, request.text) } };
  },
  'releases.list': async ({ cloud }) => ({ body: { call: callOf((await asked(cloud)).asker, 'list') } }),
  'releases.take': async ({ cloud }) => {
    const { first, asker, request, about } = await asked(cloud);
    await approveAs(first, request);
    return { body: { call: callOf(asker, 'take', about) } };
  },
  'releases.refuse': async ({ cloud }) => {
    const { first, about } = await asked(cloud);
    return { body: { call: callOf(first, 'refuse', about) } };
  },
  'releases.rules': async ({ cloud }) => ({ body: { call: callOf(await firstPerson(cloud), 'rules') } }),
  'releases.changeRules': async ({ cloud }) => {
    const first = await firstPerson(cloud);
    const { changes } = await releasesOf(first.world).rules({ body: { call: callOf(first, 'rules') } });
    const number = changes.filter(({ state }) => state === 'logged').length + 1;
    const change = rulesOf(first.world, number, defaultReleaseRules);
    return { body: { change, approval: approvalOf(first, change) } };
  },
  'releases.vouch': async ({ cloud }) => {
    const first = await firstPerson(cloud);
    const { holder, publicKey } = await makePerson(first.world, `new ${(made += 1)}`);
    const { tenantUid } = first.world.tenant;
    const signature = signKeyVouch({ tenantUid, holder, publicKey }, first.sign);
    return { body: { tenantUid, holder, publicKey, byKey: first.publicKey, signature } };
  },
  'releases.own': async (world) => {
    const { archiveId } = await exampleArchive(world);
    return { body: { archiveId, signature: 'A'.repeat(86) } };
  },
};
