/** The agent as a whole: opens what it needs in order, protects, answers on the control socket, and closes in turn. */
import { mkdirSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { BackupRequest, CommitClock, ExclusionRule } from '@holdfast/archive';
import { type Clock, type Random, systemClock, systemRandom } from '@holdfast/base';
import type { EscrowKeys } from '@holdfast/trust';
import { DeviceArchive } from './archive/device-archive.ts';
import { BranchBook } from './branches/branch-book.ts';
import { systemBootClock } from './clock/boot-clock.ts';
import { ServerClock } from './clock/server-clock.ts';
import { ControlServer } from './control/server.ts';
import type { MakePlace } from './destinations/destination-place.ts';
import type { DestinationMemory } from './destinations/connected.ts';
import { Destinations } from './destinations/destinations.ts';
import { destinationErrors } from './destinations/errors.ts';
import { GapBook } from './destinations/gap-book.ts';
import { folderPlace } from './destinations/folder-place.ts';
import { spareMemory } from './engine/frugal-memory.ts';
import { createLinuxSource } from './engine/linux-source.ts';
import { startBackupWorker } from './engine/start-worker.ts';
import { settleEscrow } from './keys/change-keys.ts';
import { EscrowPolicy, type EscrowSetting } from './keys/escrow-policy.ts';
import { ownerStatement, type OwnerStatement } from './keys/owner-statement.ts';
import { ShownRecoveryCode } from './keys/recovery-code.ts';
import { hearSigned } from './keylog/hear-signed.ts';
import { KeystoreFollowing } from './keylog/keystore-following.ts';
import type { SignedByOthers } from './keylog/follow-key-log.ts';
import { headToCarry, hearHead } from './keylog/hear-head.ts';
import type { KeyLogBook } from './keylog/key-log-book.ts';
import { KeyWitnesses } from './keylog/key-witnesses.ts';
import { type AgentLog, silentLog } from './log.ts';
import type { ReleaseClient } from './releases/release-client.ts';
import { Protector } from './schedule/protector.ts';
import type { PassPorts } from './schedule/run-pass.ts';
import { parseBackupSet } from './sets/backup-set.ts';
import { defaultSet } from './sets/default-set.ts';
import { AgentDatabase } from './state/agent-database.ts';

/** Escrow of an enrolled agent. */
export type EscrowOfTenant = {
  /** Its tenant's keys for escrow slots, and the SHA-256 (hex) of their document. */
  readonly keys: EscrowKeys;
  readonly sha256: string;
  /** What its org asks for, where that was heard just now. */
  readonly setting?: EscrowSetting | undefined;
  /** Before there is an archive: the signed head of the key log up to which it was just seen to have the keys. */
  readonly loggedUpTo?: string | undefined;
};

/** How an agent is to run. */
export type AgentOptions = {
  /** Folder of its state, made where it is missing: keys, index, sets. Mode 0700. */
  readonly stateDir: string;
  /** Control socket; its folder is made where it is missing. */
  readonly socketPath: string;
  /** 0600 for one user's agent; 0666 in a folder that only root can write to. */
  readonly socketMode: number;
  /** What the first backup set protects; the home folders when left out. Only used while there is no set at all. */
  readonly protect?: readonly string[];
  /** Folders that are never read, besides the agent's own and those of destinations. */
  readonly never?: readonly ExclusionRule[];
  /** Makes places of kinds other than `folder`. */
  readonly makePlace?: MakePlace;
  readonly startWorker?: BackupRequest['startWorker'];
  readonly clock?: Clock;
  /** What time commits bear; without a cloud that knows better, the wall clock's. */
  readonly commitClock?: CommitClock;
  /** Opens what an enrolled agent knows of its tenant's key log, once no other agent can run on the state folder. */
  readonly keyLog?: () => KeyLogBook;
  readonly escrow?: EscrowOfTenant;
  /** The key by which the keystore of the tenant signs how far it has followed the key log, as a note verifier. */
  readonly keystoreVerifier?: string;
  /** Of an enrolled agent: the way to the keys that its server releases. */
  readonly releases?: ReleaseClient;
  readonly random?: Random;
  readonly log?: AgentLog;
};

/** A running agent. */
export type RunningAgent = {
  readonly socketPath: string;
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** Takes down what the organisation asks of escrow, and does it as far as the user's choice leaves it. */
  settleEscrow(setting: EscrowSetting): Promise<void>;
  /** States with the key of the archive's writer that the archive is the device's (Ed25519, base64url). */
  stateOwner(deviceKey: string): OwnerStatement;
  /** Takes in the heads of the key log that others than the log signed. */
  readonly hearSigned: (heads: SignedByOthers) => void;
  /** Ends it: what is under way stops where it is, and goes on the next time. */
  stop(): Promise<void>;
  /** Resolves when it has ended; rejects where a fault ended it. */
  readonly ended: Promise<void>;
};

/** What the parts of an agent have of one another. */
export type AgentParts = {
  readonly archive: DeviceArchive;
  readonly database: AgentDatabase;
  readonly destinations: Destinations;
  readonly branches: BranchBook;
  readonly protector: Protector;
  /** What passes need that run within the protector's `exclusive`. */
  readonly passPorts: PassPorts;
  readonly recoveryCode: ShownRecoveryCode;
  readonly makePlace: MakePlace;
  readonly never: () => readonly ExclusionRule[];
  readonly stateDir: string;
  readonly clock: Clock;
  readonly commitClock: CommitClock;
  /** Where the agent is enrolled. */
  readonly keyLog: KeyLogBook | undefined;
  readonly keyWitnesses: KeyWitnesses | undefined;
  readonly keystoreFollowing: KeystoreFollowing | undefined;
  readonly escrow: EscrowPolicy;
  readonly releases: ReleaseClient | undefined;
  readonly random: Random;
  readonly log: AgentLog;
  readonly signal: AbortSignal;
};

/**
 * Starts an agent; resolves when it answers on its control socket.
 *
 * @throws state.in_use while another one runs on the same state, keys.*, control.cannot_listen
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const stopping = new AbortController();
  const resources = new AsyncDisposableStack();
  try {
    const parts = open(options, stopping.signal, resources);
    const server = await ControlServer.listen(parts, options);
    const protection = parts.protector.run(stopping.signal);
    const ended = endAfter(protection, [() => server.close(), () => resources.disposeAsync()]);
    ended.catch(() => undefined);
    parts.log.info('the agent is running', { stateDir: options.stateDir, socket: options.socketPath });
    return {
      socketPath: options.socketPath,
      archiveId: parts.archive.archiveId,
      ended,
      settleEscrow: (setting) => settleEscrow(parts, setting),
      stateOwner: (deviceKey) => ownerStatement(parts.archive.stored, deviceKey),
      hearSigned: (heads) => hearSigned(parts, heads),
      stop: () => {
        stopping.abort();
        return ended;
      },
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function endAfter(work: Promise<void>, closing: readonly (() => Promise<void>)[]): Promise<void> {
  try {
    await work;
  } finally {
    for (const close of closing) await close();
  }
}

function open(options: AgentOptions, signal: AbortSignal, resources: AsyncDisposableStack): AgentParts {
  const { clock = systemClock, random = systemRandom, log = silentLog } = options;
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const stateDir = realpathSync(options.stateDir);
  const database = new AgentDatabase(path.join(stateDir, 'agent.db'));
  resources.defer(() => database.close());
  let keyLog: KeyLogBook | undefined;
  const escrow = escrowPolicyOf(database, clock, options.escrow, () => keyLog);
  const archive = DeviceArchive.open(stateDir, { clock, random }, escrow);
  resources.defer(() => archive.close());
  const others = (options.never ?? []).flatMap(withRealPath);
  const never = () => neverRead(stateDir, others, database);
  makeFirstSet(database, options.protect, never());
  const makePlace = placeMakerOf(options);
  const source = createLinuxSource();
  const places = database.destinations().map(makePlace);
  const memory = rememberIn(database, { clock, log });
  const gaps = new GapBook(database, archive.index);
  const { releases } = options;
  keyLog = options.keyLog?.();
  const signers = signersOf(database, keyLog, options);
  const onKeyLogHead = (note: string) => keyLog && hearHead(keyLog, note, clock.now());
  if (options.escrow?.loggedUpTo !== undefined) onKeyLogHead(options.escrow.loggedUpTo);
  const branches = new BranchBook(database);
  const destinationPorts = { clock, random, source, signal, memory, gaps, branches, onKeyLogHead };
  const destinations = new Destinations(archive, places, destinationPorts);
  resources.defer(() => destinations.closeAll());
  const startWorker = options.startWorker ?? startBackupWorker;
  const workers = Math.max(1, Math.min(4, availableParallelism()));
  const commitClock = options.commitClock ?? new ServerClock({ wall: clock, boot: systemBootClock() });
  const keyLogHead = () => keyLog && headToCarry(keyLog, log);
  const shared = { archive, destinations, database, clock, commitClock, log, never };
  const passPorts = { ...shared, keyLogHead, source, startWorker, workers };
  const protector = new Protector(passPorts);
  resources.defer(() => protector.close());
  const recoveryCode = new ShownRecoveryCode({ clock, random });
  resources.use(spareMemory());
  return {
    ...shared,
    branches,
    passPorts,
    protector,
    recoveryCode,
    makePlace,
    stateDir,
    keyLog,
    ...signers,
    escrow,
    releases,
    random,
    signal,
  };
}

/** Who signs heads of the key log besides the log itself. */
function signersOf(
  database: AgentDatabase,
  keyLog: KeyLogBook | undefined,
  { keystoreVerifier }: AgentOptions,
): Pick<AgentParts, 'keyWitnesses' | 'keystoreFollowing'> {
  const keystoreFollowing =
    keyLog && keystoreVerifier ? new KeystoreFollowing(database, keyLog, keystoreVerifier) : undefined;
  return { keyWitnesses: keyLog && new KeyWitnesses(database, keyLog), keystoreFollowing };
}

function escrowPolicyOf(
  database: AgentDatabase,
  clock: Clock,
  escrow: EscrowOfTenant | undefined,
  keyLog: () => KeyLogBook | undefined,
): EscrowPolicy {
  const areKeysLogged = () => {
    const book = keyLog();
    if (!escrow || !book) return escrow?.loggedUpTo !== undefined;
    const seen = book.escrowKeys();
    return seen?.sha256 === escrow.sha256 && seen.status === 'logged';
  };
  const policy = new EscrowPolicy(database, { keys: escrow?.keys, areKeysLogged, clock });
  if (escrow?.setting) policy.hear(escrow.setting);
  return policy;
}

/** The set that there is from the first start on, until a person removes it. */
function makeFirstSet(
  database: AgentDatabase,
  protect: AgentOptions['protect'],
  never: readonly ExclusionRule[],
): void {
  if (database.sets().length > 0 || database.fact('sets.made') !== undefined) return;
  database.addSet(parseBackupSet(defaultSet(protect), never));
  database.setFact('sets.made', 1);
}

function placeMakerOf({ makePlace }: AgentOptions): MakePlace {
  return (config) => {
    if (config.kind === 'folder') return folderPlace(config);
    if (!makePlace) throw destinationErrors.kind_unknown({ field: 'kind', kind: config.kind });
    return makePlace(config);
  };
}

/** A rule for a path, and for what it leads to: a backup follows no link, and may come there by another way. */
function withRealPath(rule: ExclusionRule): readonly ExclusionRule[] {
  try {
    const pattern = realpathSync(rule.pattern);
    return pattern === rule.pattern ? [rule] : [rule, { ...rule, pattern }];
  } catch {
    // It is a pattern, or it is not there.
    return [rule];
  }
}

/** The memory of destinations in the agent's database. */
function rememberIn(database: AgentDatabase, { clock, log }: { clock: Clock; log: AgentLog }): DestinationMemory {
  return {
    acknowledged: (destinationId) => database.acknowledged(destinationId),
    noteLoss: (destinationId, loss) => {
      log.warn('a destination has less than it acknowledged; what is gone is sent again', loss);
      database.noteLoss(destinationId, { ...loss, atMs: clock.now() });
      database.setAcknowledged(destinationId, loss.found);
    },
  };
}

/** What no backup reads, whatever the sets say. */
function neverRead(stateDir: string, others: readonly ExclusionRule[], database: AgentDatabase): ExclusionRule[] {
  const folders = database.destinations().flatMap(({ folder }) => (folder === undefined ? [] : [folder]));
  return [
    { pattern: stateDir, reason: "the agent's own state" },
    ...others,
    ...folders.map((folder) => ({ pattern: folder, reason: 'a destination of this backup' })),
  ];
}
