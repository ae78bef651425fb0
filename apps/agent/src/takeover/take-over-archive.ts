/**
 * A new computer goes on with the archive of an old one: it proves that it may, opens the keys, is shown what it takes over,
 * and takes it. What is left to do, the agent does when it runs: the index, and the next writer's keyring.
 *
 * It may be killed anywhere and be run again: nothing changes for the old computer before `complete`, and all that comes
 * after that can be done again.
 */
import { sign } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { assert, CodedError, formatUuid, parseUuid, type Random, systemRandom } from '@holdfast/base';
import { parseRing } from '@holdfast/archive';
import { deviceRoutes, type Takeover, takeoverErrors as serverErrors, takeoverRoutes } from '@holdfast/contract';
import {
  openTakeoverProof,
  signTakeoverProof,
  takeoverKeyOf,
  takeoverProofLifeMs,
  type TakeoverClaim,
  type TakeoverProof,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import type { AgentFacts } from '../cloud/heartbeat.ts';
import { KeyStore, type StoredKeys, type Successor } from '../keys/key-store.ts';
import { openReleasedRing } from '../releases/released-ring.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { CloudShelf } from './cloud-shelf.ts';
import { takeoverErrors } from './errors.ts';
import { openHandOver, type ReadHandOver } from './hand-over-documents.ts';
import { choiceIn, type OpenedRing, openNewestRing, type RingAccess } from './open-ring.ts';
import { type PendingTakeover, recipientOf, TakeoverStore, writerKeyOf } from './pending-takeover.ts';
import { type ArchiveContents, readContents } from './read-sets.ts';

/** What a person has in hand: what proves it to the server, and what opens the keys. */
export type TakeoverMeans =
  /** The 32 bytes of a recovery code: both. */
  | { readonly kind: 'recovery_code'; readonly secret: Uint8Array }
  /** The text of the old computer's document: both. */
  | { readonly kind: 'hand_over'; readonly text: string }
  /** An administrator's proof; the keys come from elsewhere, among them the text of a ring released to this computer. */
  | {
      readonly kind: 'approval';
      readonly proof: TakeoverProof;
      readonly access: RingAccess | { readonly kind: 'released_ring'; readonly text: string };
    };

/** What taking over needs. */
export type TakeoverRequest = AgentFacts & {
  readonly client: CloudClient;
  readonly stateDir: string;
  /** The computer that is replaced: its identifier, or beside a recovery code its name. */
  readonly device: string;
  readonly means: TakeoverMeans;
  readonly random?: Random;
  /** Shows what is taken over and asks; false leaves everything as it is. */
  readonly confirm: (found: FoundArchive) => Promise<boolean> | boolean;
};

/** The archive that is to be taken over. */
export type FoundArchive = {
  readonly takeover: Takeover;
  readonly contents: ArchiveContents;
  readonly opened: OpenedRing;
};

/**
 * Takes an archive over. Returns what was taken over once all of it is on stable storage here.
 *
 * @throws agent_takeover.*, the server's takeover errors, state.in_use while an agent runs on the state folder,
 * agent_takeover.not_confirmed
 */
export async function takeOverArchive(request: TakeoverRequest): Promise<FoundArchive> {
  const { client, stateDir, device, random = systemRandom } = request;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  // Held throughout: no agent may run here, nor another takeover.
  const database = new AgentDatabase(path.join(stateDir, 'agent.db'));
  try {
    const store = new TakeoverStore(stateDir);
    const pending = store.begin({ deviceUid: client.enrollment.deviceUid, device }, random);
    const keyStore = new KeyStore(path.join(stateDir, 'keys.json'));
    const proven = await prove(request, store, pending);
    expectNoOtherArchive(keyStore, proven.takeover);
    const found = await look(client, proven);
    expectFromWriter(proven, found);
    if (!(await request.confirm(found))) throw takeoverErrors.not_confirmed();
    await complete(client, found, store);
    settle({ database, keyStore }, found, successorOf(proven, pending));
    store.remove();
    return found;
  } finally {
    database.close();
  }
}

type Proven = {
  readonly takeover: Takeover;
  readonly access: RingAccess;
  readonly introductions: Successor['introductions'];
  /** Of a hand-over. */
  readonly isFrom?: ReadHandOver['isFrom'] | undefined;
};

/** Shows the server the proof; one that was shown before it broke off is shown again, since it is worth something once. */
async function prove(request: TakeoverRequest, store: TakeoverStore, pending: PendingTakeover): Promise<Proven> {
  const { client, means } = request;
  const { proof: given, ...read } = readMeans(means, client, pending);
  const { mayBeDone: _, ...begun } = pending;
  const again = await proveAgain(client, pending, { signer: signerOf(means, given), store });
  if (again) return { ...read, takeover: again };
  const proof = given ?? (await proofByCode(request));
  store.save({ ...begun, proof: { ...proof } });
  return { ...read, takeover: await begin(client, proof) };
}

/** Shows a proof that was shown before, where the signer still is the same or it may have been done. */
async function proveAgain(
  client: CloudClient,
  pending: PendingTakeover,
  { signer, store }: { readonly signer: string; readonly store: TakeoverStore },
): Promise<Takeover | undefined> {
  const { proof, mayBeDone, ...kept } = pending;
  if (!proof) return undefined;
  const isSameSigner = signerIn(proof) === signer;
  if (!isSameSigner && !mayBeDone) return undefined;
  const again = await begin(client, proof).catch((error: unknown) => {
    if (!isOver(error)) throw error;
    return undefined;
  });
  // It is this computer's by the proof before, which nothing else tells any more.
  if (again?.completedAt && !isSameSigner) throw store.unsettled(pending);
  if (!again?.completedAt) store.save({ ...kept, proof });
  return isSameSigner ? again : undefined;
}

function readMeans(means: TakeoverMeans, client: CloudClient, pending: PendingTakeover) {
  if (means.kind === 'recovery_code') return { access: means, introductions: [], proof: undefined };
  if (means.kind === 'approval') {
    const { proof } = means;
    return { access: readAccess(means, client, pending), introductions: [], proof };
  }
  const { deviceKey } = client.enrollment;
  const { ring, ...read } = openHandOver(means.text, recipientOf(pending), deviceKey.x);
  return { ...read, access: { kind: 'ring', ring } as const };
}

/** @throws agent_takeover.other_archive, and what opening a released ring throws */
function readAccess(
  { access, proof }: Extract<TakeoverMeans, { readonly kind: 'approval' }>,
  { enrollment }: CloudClient,
  pending: PendingTakeover,
): RingAccess {
  if (access.kind !== 'released_ring') return access;
  const { archiveId, ring, wipe } = openReleasedRing(access.text, recipientOf(pending), enrollment);
  try {
    if (openTakeoverProof(proof).archiveId !== formatUuid(archiveId)) throw takeoverErrors.other_archive();
    // Who has read keys of before can seal such a ring, too: keyrings are sealed to none of the slots that it names.
    return { kind: 'ring', ring: { ...parseRing(ring.slice()), slotKeys: [] } };
  } finally {
    wipe();
  }
}

/** Whether a proof that was shown before can serve no more, and a new one may. */
function isOver(error: unknown): boolean {
  const codes: readonly string[] = [serverErrors.proof_expired.code, serverErrors.proof_used.code];
  return error instanceof CodedError && codes.includes(error.code);
}

function begin(client: CloudClient, { text, signature }: TakeoverProof): Promise<Takeover> {
  return client.call(takeoverRoutes.begin, { body: { text, signature } });
}

function signerIn({ text }: TakeoverProof): string {
  return (JSON.parse(text) as TakeoverClaim).signerKey;
}

function signerOf(means: TakeoverMeans, given: TakeoverProof | undefined): string {
  if (given) return signerIn(given);
  assert(means.kind === 'recovery_code', 'other means bring their proof along');
  return Buffer.from(takeoverKeyOf(means.secret).publicKey).toString('base64url');
}

/** A proof by the recovery code, for this computer and ten minutes of the server's clock. */
async function proofByCode(request: TakeoverRequest): Promise<TakeoverProof> {
  const { client, device, means, random = systemRandom, agentVersion, os } = request;
  assert(means.kind === 'recovery_code', 'other means bring their proof along');
  const { installationId, tenantUid, deviceKey } = client.enrollment;
  const { serverTime } = await client.call(deviceRoutes.heartbeat, { body: { agentVersion, os } });
  const { publicKey, privateKey } = takeoverKeyOf(means.secret);
  const claim: TakeoverClaim = {
    kind: 'recovery_code',
    installationId,
    tenantUid,
    archiveId: null,
    device,
    newDeviceKey: deviceKey.x,
    signerKey: Buffer.from(publicKey).toString('base64url'),
    expiresAt: new Date(Date.parse(serverTime) + takeoverProofLifeMs.recovery_code).toISOString(),
    proofId: Buffer.from(random(16)).toString('base64url'),
  };
  return signTakeoverProof(claim, (message) => sign(null, message, privateKey));
}

/** A computer that has begun an archive keeps it: nothing here throws one away. */
function expectNoOtherArchive(keyStore: KeyStore, { archiveId }: Takeover): void {
  if (!existsSync(keyStore.path)) return;
  const own = keyStore.load()?.keys.archiveId;
  if (own && formatUuid(own) === archiveId) return;
  throw takeoverErrors.own_archive();
}

async function look(client: CloudClient, { takeover, access }: Proven): Promise<FoundArchive> {
  const shelf = new CloudShelf(client, takeover.archiveId);
  const archiveId = parseUuid(takeover.archiveId);
  assert(archiveId !== undefined, 'an archive is named by an identifier');
  const opened = await openNewestRing(shelf, { archiveId, access });
  return { takeover, opened, contents: await readContents(shelf, archiveId, opened) };
}

/** The keys of a hand-over are sealed to keys that its request names in the clear: who sealed them has to be the writer. */
function expectFromWriter({ isFrom }: Proven, { opened }: FoundArchive): void {
  const writer = opened.keyring.writers.at(-1);
  if (isFrom && !(writer && isFrom(writer.publicKey))) throw takeoverErrors.not_from_writer();
}

/** @throws takeover.keyring_changed where the old computer made another keyring meanwhile: run it again */
async function complete(client: CloudClient, { takeover, opened }: FoundArchive, store: TakeoverStore) {
  const kept = store.load();
  assert(kept, 'what was begun is kept until its end');
  const { mayBeDone: _, ...pending } = kept;
  const body = { writerKey: writerKeyOf(pending), keyringSha256: Buffer.from(opened.keyringSha256).toString('hex') };
  // From here on the answer may be lost, and the archive be this computer's all the same.
  store.save({ ...pending, mayBeDone: true });
  try {
    await client.call(takeoverRoutes.complete, { params: { takeoverUid: takeover.takeoverUid }, body });
  } catch (error) {
    if (isRefused(error)) store.save(pending);
    throw error;
  }
}

/** Whether the server itself says that it hands nothing on, so that nothing was. */
function isRefused(error: unknown): boolean {
  const codes: readonly string[] = Object.values(serverErrors).map(({ code }) => code);
  return error instanceof CodedError && codes.includes(error.code);
}

const origins = { hand_over: 'device_signed', recovery_code: 'recovery_code', approval: 'administrator' } as const;

function successorOf({ takeover, introductions }: Proven, { signingSeed }: PendingTakeover): Successor {
  return { origin: origins[takeover.proof], signingSeed: Uint8Array.fromHex(signingSeed), introductions };
}

/** The archive is this computer's: its keys and its sets, the keys last, since they are what an agent begins with. */
function settle(
  { database, keyStore }: { readonly database: AgentDatabase; readonly keyStore: KeyStore },
  { takeover, opened, contents }: FoundArchive,
  successor: Successor,
): void {
  // One that has run since then is further than this.
  if (existsSync(keyStore.path)) return;
  if (contents.sets.length > 0) {
    database.adoptSets(contents.sets);
    database.setFact('sets.made', 1);
  }
  const { ring, keyring, keyringSha256, keyRecords } = opened;
  const choice = choiceIn(keyring);
  const archiveId = parseUuid(takeover.archiveId);
  assert(archiveId !== undefined, 'an archive is named by an identifier');
  const stored: StoredKeys = {
    keys: {
      archiveId,
      ring,
      // It goes on from the last writer, whose key it never had: its own comes with the next keyring.
      writerNumber: keyring.writers.at(-1)!.number,
      signingSeed: successor.signingSeed,
      keyring: { number: keyring.number, sha256: keyringSha256 },
    },
    keyRecords,
    successor,
    ...(choice && { choice }),
  };
  keyStore.save(stored);
}
