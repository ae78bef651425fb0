import { existsSync } from 'node:fs';
import path from 'node:path';
import { assert, CodedError, formatUuid, systemClock, type Clock } from '@holdfast/base';
import { deviceErrors, deviceRoutes, releaseRoutes, releasesErrors } from '@holdfast/contract';
import { escrowKeysSha256, keyLogOrigin, parseEscrowKeys, sealingKeysOf, subject } from '@holdfast/trust';
import { startAgent, type AgentOptions, type RunningAgent } from '../agent.ts';
import { type BootClock, systemBootClock } from '../clock/boot-clock.ts';
import { ServerClock } from '../clock/server-clock.ts';
import { remedyOf } from '../control/remedies.ts';
import { beside } from '../keylog/beside.ts';
import type { EscrowSetting } from '../keys/escrow-policy.ts';
import { followKeyLog } from '../keylog/follow-key-log.ts';
import { headToCarry } from '../keylog/hear-head.ts';
import { KeyLogBook, type PinnedLog } from '../keylog/key-log-book.ts';
import type { GivenEscrowKeys } from '../keylog/learn.ts';
import { lookForEscrowKeys } from '../keylog/look-for-escrow-keys.ts';
import { unseenNotices } from '../keylog/notices.ts';
import { silentLog, type AgentLog } from '../log.ts';
import { deviceReleases } from '../releases/device-releases.ts';
import type { MakePlace } from '../destinations/destination-place.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { CloudClient } from './cloud-client.ts';
import { cloudPlace } from './cloud-place.ts';
import { cloudErrors } from './errors.ts';
import { EnrollmentStore, type Enrollment } from './enrollment-store.ts';
import { forgetDevice, keepHeartbeats, type AgentFacts } from './heartbeat.ts';
import type { HttpsSettings } from './https-fetch.ts';

/** How an agent that may be enrolled is to run. */
export type EnrolledAgentOptions = AgentOptions &
  AgentFacts &
  Pick<HttpsSettings, 'proxyEnv'> & {
    /** The clock that counts sleep, between receipts. */
    readonly bootClock?: BootClock;
  };

/**
 * Starts the agent of a state folder, and with an enrolment its cloud: as a destination, and as who may deauthorise it.
 *
 * Once the server has proved that it was deauthorised, it stops and removes its keys, its queue and its index; `ended`
 * resolves after that. A server that only says so is refused its work, and nothing is removed. Where the enrolment cannot be
 * used, folders are protected all the same, and its server stands there with what is wrong.
 * @throws as `startAgent` does
 */
export async function startEnrolledAgent(options: EnrolledAgentOptions): Promise<RunningAgent> {
  const found = enrollmentIn(options.stateDir);
  if (!found) return startAgent(options);
  return found instanceof CodedError ? startWithoutCloud(options, found) : startWithCloud(options, found);
}

async function startWithCloud(options: EnrolledAgentOptions, enrollment: Enrollment): Promise<RunningAgent> {
  const { clock = systemClock, random, proxyEnv, log = silentLog, bootClock = systemBootClock() } = options;
  const client = new CloudClient(enrollment, {
    clock,
    ...(random && { random }),
    ...(proxyEnv && { proxyEnv }),
  });
  addDestination(options.stateDir, enrollment);
  const file = path.join(options.stateDir, 'receipt.json');
  const commitClock = new ServerClock({ wall: clock, boot: bootClock, file });
  const makePlace: MakePlace = (config) => cloudPlace(config, client, (receipt) => commitClock.note(receipt));
  const resources = new DisposableStack();
  resources.defer(() => client.close());
  const known = { enrollment, clock, resources };
  const begin = async () => {
    const escrow = await escrowOf(options, { client, enrollment });
    const releases = deviceReleases(client, { stateDir: options.stateDir, clock });
    return start({ commitClock, ...options, makePlace, ...escrow, releases }, known);
  };
  const { running, keyLog } = await begin().catch((error: unknown) => {
    resources.dispose();
    throw error;
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const { agentVersion, os } = options;
  const { hearSigned: onSigned } = running;
  const followed = { client, book: keyLog, ...whoIs(enrollment, running), onSigned, clock, signal };
  const following = beside(follower(followed, log));
  let asked: EscrowSetting = 'off';
  const settling = beside(() => settle(running, asked, log));
  const owning = beside(ownerTeller(running, client, log));
  const beats = keepHeartbeats({
    client,
    agentVersion,
    os,
    signal,
    clock,
    keyLogHead: () => headToCarry(keyLog, log),
    onWord: ({ settings }) => {
      following.start();
      asked = settings.escrow;
      settling.start();
      owning.start();
    },
    onSilence: (error) => tellSilence(log, error),
  }).then(async (outcome) => {
    if (outcome !== 'deauthorized') return;
    log.error('the keys, the queue and the index of this device are removed', deviceErrors.deauthorized());
    await running.stop().catch(() => undefined);
    forgetDevice(options.stateDir);
  });
  const ended = endWith(running.ended, async () => {
    stopping.abort();
    await Promise.all([beats, following.settle(), settling.settle(), owning.settle()]);
    resources.dispose();
  });
  ended.catch(() => undefined);
  return { ...running, ended, stop: () => running.stop().then(() => ended) };
}

/** The enrolment; what is wrong with it where it cannot be used. */
function enrollmentIn(stateDir: string): Enrollment | CodedError | undefined {
  try {
    return new EnrollmentStore(stateDir).load();
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

/** A computer whose enrolment is of no use still has its folders; what concerns the server is refused, and said. */
function startWithoutCloud(options: EnrolledAgentOptions, error: CodedError): Promise<RunningAgent> {
  const { log = silentLog } = options;
  log.error(`folders are protected, and nothing is sent to the server; ${remedyOf(error)}`, error);
  const makePlace: MakePlace = (config) => ({ config, open: () => Promise.reject(error) });
  return startAgent({ ...options, makePlace });
}

type Known = {
  readonly enrollment: Enrollment;
  readonly clock: Clock;
  /** Closes what is opened. */
  readonly resources: DisposableStack;
};

/** Starts the agent with what is known of the tenant's key log, which it opens once the state folder is its own. */
async function start(options: AgentOptions, { enrollment, clock, resources }: Known) {
  const opened: KeyLogBook[] = [];
  const open = () => {
    const book = openKeyLog(options.stateDir, enrollment, clock);
    resources.defer(() => book.close());
    opened.push(book);
    return book;
  };
  const running = await startAgent({ ...options, keyLog: open });
  const [keyLog] = opened;
  assert(keyLog, 'a running agent has opened what it knows of the key log');
  return { keyLog, running };
}

/** How long a new archive waits for what its organisation asks of it: without an answer it begins without escrow. */
const FIRST_WORD_MS = 10_000;

/**
 * The keys for escrow slots and of the keystore that the enrolment has; before an archive is made, what the organisation asks of it, and whether
 * the key log has those keys. Where that is not known in time the archive begins without escrow, which comes when it is.
 */
async function escrowOf(
  { stateDir, agentVersion, os, log = silentLog }: EnrolledAgentOptions,
  { client, enrollment }: { readonly client: CloudClient; readonly enrollment: Enrollment },
): Promise<Pick<AgentOptions, 'escrow' | 'keystoreVerifier'>> {
  const { escrowKeys: text } = enrollment;
  const { keystoreVerifier } = parseEscrowKeys(text);
  const keys = sealingKeysOf(text);
  const given = givenEscrowKeys(text);
  const { sha256 } = given;
  if (existsSync(path.join(stateDir, 'keys.json'))) return { keystoreVerifier, escrow: { keys, sha256 } };
  const body = { agentVersion, os };
  const word = await client
    .call(deviceRoutes.heartbeat, { body, signal: AbortSignal.timeout(FIRST_WORD_MS) })
    .catch((error: unknown) => {
      log.warn('what is asked of a new archive is not known yet', { error: String(error) });
      return undefined;
    });
  const setting = word?.settings.escrow;
  if (setting === undefined || setting === 'off') return { keystoreVerifier, escrow: { keys, sha256, setting } };
  const options = { client, signal: AbortSignal.timeout(FIRST_WORD_MS) };
  const loggedUpTo = await lookForEscrowKeys(options, pinnedLog(enrollment), given).catch((error: unknown) => {
    log.warn('the keys for escrow were not seen in the key log yet', { error: String(error) });
    return undefined;
  });
  return { keystoreVerifier, escrow: { keys, sha256, setting, loggedUpTo } };
}

/** Number and hash of the escrow keys that this computer was given. */
function givenEscrowKeys(document: string): GivenEscrowKeys {
  return { number: parseEscrowKeys(document).number, sha256: escrowKeysSha256(document) };
}

/** What keeps the keyring as it is now is tried again with the next word of the server. */
async function settle(running: RunningAgent, setting: EscrowSetting, log: AgentLog): Promise<void> {
  await running
    .settleEscrow(setting)
    .catch((error: unknown) => log.warn('escrow is not as the organisation asks', { error: String(error) }));
}

/**
 * Tells the server whose the archive is, as its writer states: what it has to show the keystore for this device to be given keys of its
 * own archive. Told once to a writer; until the archive is there it is tried with each word of the server.
 */
function ownerTeller(running: RunningAgent, client: CloudClient, log: AgentLog): () => Promise<void> {
  let [told, said] = ['', ''];
  return async () => {
    const body = running.stateOwner(client.enrollment.deviceKey.x);
    if (told === body.signature) return;
    try {
      await client.call(releaseRoutes.own, { body });
      told = body.signature;
    } catch (error) {
      const isEarly = error instanceof CodedError && error.code === releasesErrors.archive_not_found.code;
      if (!isEarly && said !== String(error)) log.warn('whose the archive is was not told', { error: String(error) });
      said = String(error);
    }
  };
}

/** What is known of the tenant's key log, under the log key that was pinned at enrolment. */
function openKeyLog(stateDir: string, enrollment: Enrollment, clock: Clock): KeyLogBook {
  return new KeyLogBook(path.join(stateDir, 'key-log.db'), pinnedLog(enrollment), clock);
}

function pinnedLog({ installationId, tenantUid, logKey: verifier }: Enrollment): PinnedLog {
  return { origin: keyLogOrigin(installationId, tenantUid), verifier };
}

/** Whom the leaves are about that this computer has to be shown. */
function whoIs({ deviceUid, deviceKey, escrowKeys: document }: Enrollment, running: RunningAgent) {
  const archiveId = formatUuid(running.archiveId);
  const device = { deviceUid, publicKey: deviceKey.x, escrowKeys: givenEscrowKeys(document) };
  return { archiveId, device, subjects: [subject.archive(archiveId), subject.device(deviceUid), subject.everyone] };
}

/**
 * Follows the key log a step each time; what is wrong with it is kept, and said. Why it could not be followed is said once,
 * until it could be.
 */
function follower(options: Parameters<typeof followKeyLog>[0], log: AgentLog): () => Promise<void> {
  let said: string | undefined;
  return async () => {
    try {
      const before = options.book.head()?.tree.size ?? 0;
      const followed = await followKeyLog(options);
      said = undefined;
      for (const notice of unseenNotices(options.book).filter(({ logIndex }) => logIndex >= before))
        log.warn(notice.message, { logIndex: notice.logIndex, kind: notice.kind });
      if (followed.status !== 'fault' || !followed.isFirst) return;
      const { error } = followed;
      log.error(`the head that shows it is kept; ${remedyOf(error)}`, error);
    } catch (error) {
      const text = String(error);
      // That the device was deauthorised is learnt from the next heartbeat.
      if (!options.signal.aborted && text !== said) log.warn('the key log could not be followed', { error: text });
      said = text;
    }
  };
}

async function endWith(ended: Promise<void>, then: () => Promise<void>): Promise<void> {
  try {
    await ended;
  } finally {
    await then();
  }
}

function tellSilence(log: AgentLog, error: unknown): void {
  const isUnproven = error instanceof CodedError && error.code === cloudErrors.deauthorization_unproven.code;
  if (isUnproven) log.error(`nothing is removed; ${remedyOf(error)}`, error);
  else log.warn('the cloud does not answer', { error: String(error) });
}

/** The cloud is a destination from the first start after enrolling on. */
function addDestination(stateDir: string, { url }: Enrollment): void {
  const database = new AgentDatabase(path.join(stateDir, 'agent.db'));
  try {
    const isThere = database.destinations().some(({ kind }) => kind === 'cloud');
    if (!isThere) database.addDestination({ kind: 'cloud', name: url });
  } finally {
    database.close();
  }
}
