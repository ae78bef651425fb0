import { generateKeyPairSync, sign as signWith, type KeyObject } from 'node:crypto';
import { parseUuid, systemRandom } from '@holdfast/base';
import { createClient, anonymous } from '@holdfast/sdk';
import {
  formatRulesChange,
  importHpkeKey,
  openRelease,
  releaseRequestSha256,
  signArchiveOwner,
  signKeyVouch,
  signReleaseApproval,
  signReleaseCall,
  signReleaseRequest,
  type HpkeKey,
  type KeyHolder,
  type ReleaseCallName,
  type ReleaseRequest,
  type ReleaseRules,
  type Sign,
  type SignedText,
} from '@holdfast/trust';
import { appendKeyLogLeaf } from '../modules/keylog/index.ts';
import { writeAudit } from '../modules/audit/index.ts';
import { addPersonKey } from '../modules/persons/index.ts';
import { exampleArchive } from './example-archive.ts';
import { deviceProof, type TenantWorld } from './test-world.ts';
import { sendAs } from './example-archive.ts';

/** Somebody with a key of its own, in a tenant. */
export type ReleaseParty = {
  readonly world: TenantWorld;
  readonly holder: KeyHolder;
  readonly publicKey: string;
  readonly sign: Sign;
  /** What is released to it is sealed to this. */
  readonly recipient: HpkeKey;
};

function partyOf(world: TenantWorld, holder: KeyHolder, privateKey: KeyObject): ReleaseParty {
  const publicKey = privateKey.export({ format: 'jwk' }).x!;
  const sign: Sign = (message) => signWith(null, message, privateKey);
  return { world, holder, publicKey, sign, recipient: importHpkeKey(systemRandom(32)) };
}

/** Registers a person's key, as the operator of the server does. */
export async function makePerson(world: TenantWorld, username: string, mayApprove = false): Promise<ReleaseParty> {
  const { privateKey } = generateKeyPairSync('ed25519');
  return registerPerson(world, { username, mayApprove, privateKey });
}

/** The same with a key that there is. */
export async function registerPerson(
  world: TenantWorld,
  {
    privateKey,
    ...wanted
  }: { readonly username: string; readonly mayApprove: boolean; readonly privateKey: KeyObject },
): Promise<ReleaseParty> {
  const { cloud, tenant } = world;
  const { tenantUid: tenantId } = tenant;
  const deps = { installationId: cloud.api.installationId, writeAudit };
  const publicKey = privateKey.export({ format: 'jwk' }).x!;
  const place = { tenantId, at: new Date(cloud.clock.now()) };
  const { userUid: uid } = await cloud.system.withTenant(tenantId, (tx) =>
    addPersonKey(tx, deps, place, { publicKey, ...wanted }),
  );
  return partyOf(world, { kind: 'person', uid }, privateKey);
}

/** The device of a world, with the leaf of its key. */
export async function releaseDevice(world: TenantWorld): Promise<ReleaseParty> {
  const { cloud, tenant, device } = world;
  const { tenantUid: tenantId } = tenant;
  const party = partyOf(world, { kind: 'device', uid: device.deviceId }, device.privateKey);
  await cloud.database.withTenant(tenantId, (tx) =>
    appendKeyLogLeaf(
      tx,
      { tenantId, at: new Date(cloud.clock.now()) },
      { kind: 'key_registered', deviceUid: device.deviceId, publicKey: party.publicKey },
    ),
  );
  return party;
}

/** The SDK without credentials: a signed document is the proof. */
export function releasesOf({ cloud }: TenantWorld) {
  return createClient({ baseUrl: cloud.url, fetch, credentials: anonymous }).releases;
}

/** Signs a call. */
export function callOf(
  { world, publicKey, sign }: ReleaseParty,
  name: ReleaseCallName,
  about: string | null = null,
): SignedText {
  const { cloud, tenant } = world;
  const place = { installationId: cloud.api.installationId, tenantUid: tenant.tenantUid };
  const at = new Date(cloud.clock.now()).toISOString();
  const nonce = Buffer.from(systemRandom(16)).toString('base64url');
  return signReleaseCall({ version: 1, ...place, call: name, about, callerKey: publicKey, at, nonce }, sign);
}

/** A request of somebody for the keys of the world's archive; each member can be another. */
export async function requestOf(party: ReleaseParty, change: Partial<ReleaseRequest> = {}): Promise<SignedText> {
  const { world, publicKey, sign, recipient } = party;
  const { cloud, tenant } = world;
  const { archiveId } = await exampleArchive(world);
  const { keyringSha256, slotId } = await newestKeyring(world, change.archiveId ?? archiveId);
  const request: ReleaseRequest = {
    version: 1,
    installationId: cloud.api.installationId,
    tenantUid: tenant.tenantUid,
    archiveId,
    keyringSha256,
    slotId,
    scope: 'read',
    epochs: 'all',
    caseId: null,
    reason: 'the disk is gone',
    requesterKey: publicKey,
    recipientKey: Buffer.from(recipient.publicKey).toString('base64url'),
    expiresAt: new Date(cloud.clock.now() + 7 * 86_400_000).toISOString(),
    requestId: Buffer.from(systemRandom(16)).toString('base64url'),
    ...change,
  };
  return signReleaseRequest(request, sign);
}

async function newestKeyring({ cloud, tenant }: TenantWorld, archiveId: string) {
  const { createHash } = await import('node:crypto');
  const { readKeyring } = await import('../keystore/read-keyring.ts');
  const record = await cloud.storage.readKeyring(tenant.tenantUid, archiveId);
  if (!record) return { keyringSha256: '0'.repeat(64), slotId: '0'.repeat(32) };
  const slot = readKeyring(record).slots.find(({ kind }) => kind === 2);
  return {
    keyringSha256: createHash('sha256').update(record).digest('hex'),
    slotId: Buffer.from(slot?.slotId ?? new Uint8Array(16)).toString('hex'),
  };
}

/** Somebody's approval of a document. */
export function approvalOf({ world, publicKey, sign }: ReleaseParty, text: string): SignedText {
  const at = new Date(world.cloud.clock.now()).toISOString();
  return signReleaseApproval(
    { version: 1, requestSha256: releaseRequestSha256(text), approverKey: publicKey, at },
    sign,
  );
}

/** Approves a request. */
export function approveAs(party: ReleaseParty, request: SignedText) {
  const { tenantUid } = party.world.tenant;
  return releasesOf(party.world).approve({ body: { tenantUid, approval: approvalOf(party, request.text) } });
}

/** Takes what was released, and opens it as its recipient. */
export async function takeAs(party: ReleaseParty, request: SignedText) {
  const about = releaseRequestSha256(request.text);
  const taken = await releasesOf(party.world).take({ body: { call: callOf(party, 'take', about) } });
  const sealed = new Uint8Array(Buffer.from(taken.sealed, 'base64url'));
  const opened = openRelease({ requestText: request.text, leafText: taken.leaf.text, sealed }, party.recipient);
  return { taken, opened };
}

/** Has an older key vouch for a newer one. */
export function vouchFor(by: ReleaseParty, { holder, publicKey }: ReleaseParty) {
  const { tenantUid } = by.world.tenant;
  const signature = signKeyVouch({ tenantUid, holder, publicKey }, by.sign);
  return releasesOf(by.world).vouch({ body: { tenantUid, holder, publicKey, byKey: by.publicKey, signature } });
}

/** A change of the rules, as text. */
export function rulesOf({ cloud, tenant }: TenantWorld, number: number, rules: ReleaseRules): string {
  const place = { installationId: cloud.api.installationId, tenantUid: tenant.tenantUid };
  return formatRulesChange({ version: 1, ...place, number, rules });
}

/** Approves a change of the rules, which proposes it where nobody has. */
export function changeRulesAs(party: ReleaseParty, change: string) {
  return releasesOf(party.world).changeRules({ body: { change, approval: approvalOf(party, change) } });
}

/** States as the archive's writer that the archive is the device's. */
export async function stateOwner(device: ReleaseParty): Promise<void> {
  const { world } = device;
  const { archiveId, maker } = await exampleArchive(world);
  const { secret } = maker.writers.at(-1)!.key;
  const signature = signArchiveOwner({ archiveId: parseUuid(archiveId)!, deviceKey: device.publicKey }, (message) =>
    signWith(null, message, secret),
  );
  const proof = await deviceProof(world, 'api');
  const path = '/v1/releases/own-archive';
  const reply = await sendAs(world, proof, { method: 'POST', path, body: { archiveId, signature } });
  if (reply.status !== 200) throw new Error(`the owner was not kept: ${reply.text}`);
}
