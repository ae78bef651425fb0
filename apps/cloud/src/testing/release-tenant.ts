/** A tenant of a real server whose keystore answers over a socket, and somebody who has all of the api's: login, keys and log. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { assert, manualClock, newId, systemRandom } from '@holdfast/base';
import {
  importHpkeKey,
  openEscrowOuter,
  parseEscrowParameters,
  openRelease,
  parseEscrowKeys,
  type HpkeKey,
  type KeyLogFact,
  type ReleasedKeys,
  type SignedText,
} from '@holdfast/trust';
import { findEscrowKeys, openLogSealingKey } from '../modules/escrow/index.ts';
import { appendKeyLogLeaf, bringKeystore, showLeaf, type ShowDeps } from '../modules/keylog/index.ts';
import type { SignedHead } from '../modules/logs/index.ts';
import { silentLog } from '../platform/log.ts';
import type { TestCloud } from './test-cloud.ts';
import { keystoreClient } from '../keystore/client.ts';
import { KEY_WAIT_MS } from '../keystore/key-register.ts';
import type { KeystoreContext } from '../keystore/operation.ts';
import type { Keystore } from '../keystore/operations.ts';
import {
  logged,
  makeEscrowedArchive,
  makeParty,
  nowMs,
  type Party,
  type ReleasePlan,
} from '../keystore/release-scene.fixture.ts';
import { serveKeystore } from '../keystore/serve.ts';

/** A keystore on a socket, with a clock of its own that stands a month before the scene. */
export async function serveReleases(cloud: TestCloud, change: Partial<KeystoreContext> = {}) {
  const homeDir = mkdtempSync(path.join(tmpdir(), 'holdfast keystore '));
  const clock = manualClock(nowMs - 30 * KEY_WAIT_MS);
  const context: KeystoreContext = {
    installationId: cloud.api.installationId,
    database: cloud.testDatabase.open('hf_keystore'),
    kms: cloud.kms.forRole('keystore'),
    clock,
    random: systemRandom,
    ...change,
  };
  const server = await serveKeystore(homeDir, context, silentLog);
  after(async () => {
    await server.close();
    rmSync(homeDir, { recursive: true, force: true });
  });
  return { clock, context, keystore: keystoreClient(homeDir, { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 }) };
}

/** What the api sends for a release. */
export type SentRelease = Parameters<Keystore['release']>[0];

/** A request with its leaf in the log. */
export type LoggedRequest = { readonly request: SignedText; readonly logIndex: number; readonly leafText: string };

export type ReleaseTenant = Awaited<ReturnType<typeof makeReleaseTenant>>;

/** Where a tenant is made: what the api has, and the keystore. */
export type ReleaseServer = Omit<ShowDeps, 'keystore'> & {
  readonly keystore: Keystore;
  readonly addTenant: (slug: string) => Promise<{ readonly tenantUid: string }>;
};

/** That of a test's server, with a keystore elsewhere. */
export function serverOf(cloud: TestCloud, keystore: Keystore): ReleaseServer {
  const { database, clock } = cloud;
  return {
    database,
    clock,
    addTenant: (slug) => cloud.addTenant(slug),
    kms: cloud.kms.forRole('api'),
    installationId: cloud.api.installationId,
    keystore,
  };
}

/** A tenant with an archive, its device, an administrator and two who may approve, all of them known for a month by the keystore's clock. */
export async function makeReleaseTenant(
  cloud: TestCloud,
  slug: string,
  { keystore, clock }: { readonly keystore: Keystore; readonly clock: ReturnType<typeof manualClock> },
) {
  const made = await makeTenantOf(serverOf(cloud, keystore), slug);
  clock.advance(Math.max(0, nowMs - clock.now()));
  return made;
}

/** The same, whose keys are known since just now: the device's, which is the first, counts at once. */
export async function makeTenantOf(server: ReleaseServer, slug: string) {
  const { keystore, installationId, database } = server;
  const { tenantUid: tenantId } = await server.addTenant(slug);
  const deps: ShowDeps = server;
  const document = await database.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));
  const { logSealingKey, keystoreKey } = parseEscrowKeys(document ?? '');
  const [outer, inner] = [logSealingKey, keystoreKey].map((key) => new Uint8Array(Buffer.from(key, 'base64url')));
  const archive = makeEscrowedArchive({ logKey: outer!, keystoreKey: inner! });
  const recipient = importHpkeKey(systemRandom(32));
  const log = (fact: KeyLogFact) =>
    database.withTenant(tenantId, (tx) => appendKeyLogLeaf(tx, { tenantId, at: new Date(server.clock.now()) }, fact));
  const bring = () => bringKeystore(deps, tenantId);
  const [device, admin] = [makeParty('device'), makeParty('person')];
  const [first, second] = [makeParty('person'), makeParty('person')];
  const registerDevice = ({ holder, publicKey }: Party) =>
    log({ kind: 'key_registered', deviceUid: holder.uid, publicKey });
  const registerPerson = ({ holder, publicKey }: Party, mayApprove: boolean) =>
    log({ kind: 'person_key_registered', userUid: holder.uid, publicKey, mayApprove });
  await registerDevice(device);
  await registerPerson(admin, false);
  for (const approver of [first, second]) await registerPerson(approver, true);
  await bring();
  const scene = { archive, recipient, of: { installationId, tenantUid: tenantId } };
  /** Asks as the api does: the leaf first. */
  const ask = async (plan: ReleasePlan): Promise<LoggedRequest> => {
    const { request, leaf: planned } = logged(scene, plan);
    const { at: _, nonce: __, ...fact } = planned;
    const { logIndex } = await log(fact);
    const { text: leafText } = await database.withTenant(tenantId, (tx) =>
      showLeaf(tx, { tenantId, logIndex, treeSize: logIndex + 1 }),
    );
    return { request, logIndex, leafText };
  };
  const layer = () => openOuterLayer(deps, tenantId, archive);
  /** All that is sent for a request, under a head that was followed. */
  const bodyOf = async ({ request, logIndex }: LoggedRequest, head?: SignedHead): Promise<SentRelease> => {
    const { note, treeSize } = head ?? (await bring());
    const leaf = await database.withTenant(tenantId, (tx) => showLeaf(tx, { tenantId, logIndex, treeSize }));
    const [keyring, opened] = [archive.record, await layer()].map((bytes) => Buffer.from(bytes).toString('base64url'));
    return { tenantUid: tenantId, request, note, leaf, keyring: keyring!, inner: opened! };
  };
  const made = { tenantId, archive, recipient, deps, device, admin, first, second };
  const works = { log, bring, ask, bodyOf, registerDevice, registerPerson, layer };
  return {
    ...made,
    ...works,
    /** The genuine way: leaf, head, release; what came is opened by the recipient. */
    async release(plan: ReleasePlan): Promise<ReleasedKeys> {
      const asked = await ask(plan);
      return openAnswer(asked, recipient, await keystore.release(await bodyOf(asked)));
    },
  };
}

async function openOuterLayer(
  deps: ShowDeps,
  tenantId: string,
  { slot, keys }: ReturnType<typeof makeEscrowedArchive>,
): Promise<Uint8Array> {
  const keyId = Buffer.from(parseEscrowParameters(slot).outerKeyId).toString('hex');
  return openEscrowOuter(slot, keys.archiveId, await openLogSealingKey(deps, tenantId, keyId));
}

/** What a recipient makes of the keystore's answer. */
export function openAnswer(
  { request, leafText }: LoggedRequest,
  recipient: HpkeKey,
  answer: Awaited<ReturnType<Keystore['release']>>,
): ReleasedKeys {
  assert(answer.status === 'granted', 'it was released');
  const sealed = new Uint8Array(Buffer.from(answer.sealed, 'base64url'));
  return openRelease({ requestText: request.text, leafText, sealed }, recipient).keys;
}

/** Somebody whom nobody knows. */
export const stranger = (): Party => makeParty('person', newId());
