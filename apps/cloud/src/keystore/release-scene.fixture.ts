import { createHash, createPrivateKey, generateKeyPairSync, sign as signWith, type KeyObject } from 'node:crypto';
import { createArchive, sealKeyring, type ArchiveKeys, type WrapSlots } from '@holdfast/archive';
import { parseKeyring, splitRecord } from '@holdfast/archive/keyring';
import { assert, formatUuid, manualClock, newId, systemRandom } from '@holdfast/base';
import {
  appendLeaves,
  emptyTree,
  formatVerifierKey,
  importHpkeKey,
  keyLogOrigin,
  memorySource,
  noteSigner,
  openEscrowOuter,
  outlineHash,
  prepareEscrowSlot,
  proveConsistency,
  proveInclusion,
  releaseRequestSha256,
  rewrapSlot,
  rootOf,
  signArchiveOwner,
  signCheckpoint,
  signReleaseApproval,
  signReleaseRequest,
  wrapSlot,
  writeKeyLogLeaf,
  type Hash,
  type HpkeKey,
  type KeyHolder,
  type KeyLogFact,
  type KeyLogLeaf,
  type LeafOutline,
  type Release,
  type ReleaseRequest,
  type Sign,
  type SignedText,
  type Slot,
} from '@holdfast/trust';
import { noHead, type KeptHead, type LeafFacts } from './judge-leaf.ts';
import type { ReleaseFacts } from './judge-release.ts';
import { KEY_WAIT_MS, type RegisteredKey } from './key-register.ts';

/** When it is, in the scene. */
export const nowMs = Date.parse('2026-03-04T05:06:07.000Z');
export const HOUR_MS = 3_600_000;
export const tenant = { installationId: newId(), tenantUid: newId() };

/** Somebody with a key. */
export type Party = { readonly holder: KeyHolder; readonly publicKey: string; readonly sign: Sign };

export function makeParty(kind: KeyHolder['kind'], uid: string = newId()): Party {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { holder: { kind, uid }, publicKey: publicKey.export({ format: 'jwk' }).x!, sign: signerOf(privateKey) };
}

/** A key as it stands in the register: old enough, unless the change says otherwise. */
export function registered({ holder, publicKey }: Party, change: Partial<RegisteredKey> = {}): RegisteredKey {
  const firstSeenMs = nowMs - 30 * KEY_WAIT_MS;
  return { publicKey, holder, firstSeenMs, isTrustedAtOnce: false, approvesSinceMs: null, endedMs: null, ...change };
}

/** The key of somebody who may approve. */
export function approver(party: Party, approvesSinceMs = nowMs - 30 * KEY_WAIT_MS): RegisteredKey {
  return registered(party, { approvesSinceMs });
}

const log = generateKeyPairSync('ed25519').privateKey;
const logSigner = noteSigner(`holdfast/${tenant.installationId}/${tenant.tenantUid}`, log);
export const logVerifier = formatVerifierKey(logSigner.key);

/** Writes a leaf about now. */
export function leafOf(fact: KeyLogFact): KeyLogLeaf {
  return { ...fact, at: new Date(nowMs).toISOString(), nonce: Buffer.from(systemRandom(16)).toString('base64url') };
}

/** A tenant's key log; it forgets nothing, so every head and proof can be had of it. */
export class SceneLog {
  readonly #outlines: LeafOutline[] = [];
  readonly #texts: string[] = [];

  constructor(leaves = 5) {
    for (let count = 0; count < leaves; count += 1)
      this.add(leafOf({ kind: 'key_registered', deviceUid: newId(), publicKey: 'A'.repeat(43) }));
  }

  get size(): number {
    return this.#outlines.length;
  }

  /** Appends a leaf; its place. */
  add(leaf: KeyLogLeaf, outline?: LeafOutline): number {
    const written = writeKeyLogLeaf(leaf);
    this.#texts.push(written.text);
    return this.#outlines.push(outline ?? written.outline) - 1;
  }

  head(treeSize = this.size): KeptHead {
    return { treeSize, root: rootOf(this.#tree(treeSize).state) };
  }

  note(treeSize = this.size, signer = logSigner): string {
    const origin = keyLogOrigin(tenant.installationId, tenant.tenantUid);
    return signCheckpoint({ origin, ...this.head(treeSize) }, [signer]);
  }

  /** What shows a leaf under the newest head, to who knows this one. */
  async show(logIndex: number, kept: KeptHead = noHead): Promise<LeafFacts> {
    const source = memorySource(this.#tree(this.size).nodes);
    const inclusion = await proveInclusion(source, logIndex, this.size);
    const consistency = await proveConsistency(source, kept.treeSize, this.size);
    const head = { note: this.note(), consistency };
    return { logVerifier, kept, head, leaf: { text: this.#texts[logIndex]!, logIndex, inclusion } };
  }

  /** Proves that the log begins with its first leaves. */
  goOn(fromSize: number): Promise<readonly Hash[]> {
    return proveConsistency(memorySource(this.#tree(this.size).nodes), fromSize, this.size);
  }

  #tree(treeSize: number) {
    return appendLeaves(emptyTree, this.#outlines.slice(0, treeSize).map(outlineHash));
  }
}

/** An archive of three epochs with an escrow slot, and all that opens it. */
export type SceneArchive = {
  readonly archiveId: string;
  readonly keys: ArchiveKeys;
  readonly record: Uint8Array;
  readonly slot: Slot;
  readonly logKey: HpkeKey;
  readonly keystoreKey: HpkeKey;
  /** States that the archive is this device's. */
  readonly own: (device: Party) => string;
};

export function makeArchive(): SceneArchive {
  const clock = manualClock(nowMs);
  const [logKey, keystoreKey] = [importHpkeKey(systemRandom(32)), importHpkeKey(systemRandom(32))];
  const escrow = { logKey: logKey.publicKey, keystoreKey: keystoreKey.publicKey };
  let made: { readonly slot: Slot; readonly publicKey: Uint8Array } | undefined;
  const wrapSlots: WrapSlots = (place, ringKey) => {
    const carried = made && { ...made, slot: rewrapSlot(made.slot, place, { ringKey, ...made }, systemRandom) };
    made = carried ?? wrapSlot(prepareEscrowSlot(place.archiveId, escrow, systemRandom), place, ringKey, systemRandom);
    return [made];
  };
  const created = createArchive(clock, wrapSlots);
  const { writers } = parseKeyring(splitRecord(created.keyring).open);
  let keys = created.keys;
  let record = created.keyring;
  for (const ordinal of [2, 3])
    ({ keys, record } = sealKeyring(keys, { ordinal, writers, wrapSlots, clock, beginsEpoch: true }));
  assert(made, 'the slot was wrapped');
  const archiveId = formatUuid(keys.archiveId);
  const own = (device: Party) => {
    const seed = createPrivateKey({ key: keys.signingSeed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
    return signArchiveOwner({ archiveId: keys.archiveId, deviceKey: device.publicKey }, signerOf(seed));
  };
  return { archiveId, keys, record, slot: made.slot, logKey, keystoreKey, own };
}

/** What a release in the scene is made from; each part can be another. */
export type ReleasePlan = {
  readonly requester: Party;
  readonly request?: Partial<ReleaseRequest>;
  readonly approvers?: readonly Party[];
  readonly approvals?: readonly SignedText[];
  readonly leaf?: Partial<KeyLogFact<Release>>;
  readonly facts?: Partial<ReleaseFacts>;
};

type SceneParts = {
  readonly archive: SceneArchive;
  readonly recipient: HpkeKey;
  readonly keys: readonly RegisteredKey[];
  readonly keyLog: SceneLog;
};

/** A tenant with a log, an archive, its device, an administrator who asks and two persons who approve. */
export function makeScene() {
  const archive = makeArchive();
  const device = makeParty('device');
  const [admin, first, second] = [makeParty('person'), makeParty('person'), makeParty('person')];
  const keys = [registered(device), registered(admin), approver(first), approver(second)];
  const parts: SceneParts = {
    archive,
    recipient: importHpkeKey(systemRandom(32)),
    keys,
    keyLog: new SceneLog(),
  };
  return {
    ...parts,
    device,
    admin,
    first,
    second,
    requestOf: (requester: Party) => requestOf(parts, requester),
    /** The leaf that follows from a plan, and its request. */
    logged: (plan: ReleasePlan) => logged(parts, plan),
    /** All that a release is judged by, with its leaf in the log. */
    factsOf: (plan: ReleasePlan) => factsOf(parts, plan),
    /** The inner layer of the archive's slot, as the api opens it. */
    inner: () => openEscrowOuter(archive.slot, archive.keys.archiveId, archive.logKey),
  };
}

/** Somebody's consent to a document. */
export function approve(text: string, by: Party): SignedText {
  const at = new Date(nowMs).toISOString();
  const requestSha256 = releaseRequestSha256(text);
  return signReleaseApproval({ version: 1, requestSha256, approverKey: by.publicKey, at }, by.sign);
}

function requestOf(
  { archive, recipient }: SceneParts,
  requester: Party,
  change: Partial<ReleaseRequest> = {},
): ReleaseRequest {
  return {
    version: 1,
    ...tenant,
    archiveId: archive.archiveId,
    keyringSha256: createHash('sha256').update(archive.record).digest('hex'),
    slotId: Buffer.from(archive.slot.slotId).toString('hex'),
    scope: 'read',
    epochs: [0, 2],
    caseId: null,
    reason: 'the disk is gone',
    requesterKey: requester.publicKey,
    recipientKey: Buffer.from(recipient.publicKey).toString('base64url'),
    expiresAt: new Date(nowMs + 24 * HOUR_MS).toISOString(),
    requestId: Buffer.from(systemRandom(16)).toString('base64url'),
    ...change,
  };
}

function logged(scene: SceneParts, plan: ReleasePlan) {
  const { requester, approvers = [] } = plan;
  const asked = requestOf(scene, requester, plan.request);
  const request = signReleaseRequest(asked, requester.sign);
  const isOwn = requester.holder.kind === 'device' && asked.scope === 'read';
  const fact: KeyLogFact<Release> = {
    kind: 'release',
    archiveId: asked.archiveId,
    request,
    requester: requester.holder,
    purpose: asked.scope === 'ring' ? 'replacement' : isOwn ? 'own_restore' : 'admin_restore',
    notice: 'owner',
    ownerSignature: isOwn ? scene.archive.own(requester) : null,
    approvals: plan.approvals ?? approvers.map((by) => approve(request.text, by)),
    ...plan.leaf,
  };
  return { request, leaf: leafOf(fact) };
}

async function factsOf(scene: SceneParts, plan: ReleasePlan): Promise<ReleaseFacts> {
  const { keyLog, keys, archive } = scene;
  const kept = keyLog.head();
  const { request, leaf } = logged(scene, plan);
  const shown = await keyLog.show(keyLog.add(leaf), kept);
  const own = { tenant, nowMs, keys, rules: [], used: [], waiting: [] };
  return { ...own, ...shown, request, keyring: archive.record, ...plan.facts };
}

function signerOf(key: KeyObject): Sign {
  return (message) => signWith(null, message, key);
}
