import type { Disk } from '@holdfast/archive/log';
import type { Clock } from '@holdfast/base';
import type { FastifyInstance } from 'fastify';
import { writeAudit } from './modules/audit/index.ts';
import { readDeviceState } from './modules/devices/index.ts';
import { createAuthenticate } from './modules/identity/index.ts';
import {
  BodyMemory,
  findKeyring,
  mountStorage,
  OpenArchives,
  openReceiptSigner,
  Quotas,
} from './modules/storage/index.ts';
import { findInstallationId } from './modules/tenants/index.ts';
import { createNonces, createTokenKeys, type Nonces } from './modules/tokens/index.ts';
import { JobSender } from './platform/jobs.ts';
import type { Kms } from './platform/kms.ts';
import type { Log } from './platform/log.ts';
import type { Database } from './platform/postgres.ts';
import { RefusalLog } from './platform/refusal-log.ts';
import { watchRoom } from './platform/room.ts';

/** What the role storage is made of. */
export type StorageOptions = {
  /** The connections of `hf_storage`. */
  readonly database: Database;
  /** The `Kms` of the role storage. */
  readonly kms: Kms;
  /** Where clients reach this server, without a final slash; asked at every request. */
  readonly publicUrl: () => string;
  /** Folder of all archives. */
  readonly blobsDir: string;
  /** Folder of the database, where it is ours: its disk must not become full either. */
  readonly databaseDir?: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends when the server stops. */
  readonly stopping: AbortSignal;
  /** The machine's own disk when absent. */
  readonly disk?: Disk;
};

/** The role storage, mounted. */
export type Storage = {
  readonly nonces: Nonces;
  /** Reads the keyring of an archive that has this SHA-256 (hex), or the newest one, for opening or trying its escrow slots. */
  findKeyring(of: { tenantId: string; archiveId: string }, sha256?: string): Promise<Uint8Array | undefined>;
  /** Closes archives that nobody uses and writes down counted refusals until the server stops; resolves then. */
  runBackground(): Promise<void>;
  /** Closes all archives; no request may be under way. */
  close(): Promise<void>;
};

/** Memory that bodies of all uploads may take together. */
const MAX_BODY_MEMORY_BYTES = 256 * 1024 * 1024;
const IDLE_CHECK_MS = 60_000;

/** Mounts every route of the role storage on an app that `prepareHttp` has prepared; after the role api, which makes the keys. */
export async function mountStorageRole(app: FastifyInstance, options: StorageOptions): Promise<Storage> {
  const { database, kms, publicUrl, clock, stopping, log } = options;
  const installationId = await database.withoutTenant((tx) => findInstallationId(tx));
  if (installationId === undefined) throw new Error('prepareInstallation must run before the role storage');
  const nonces = createNonces({ database, kms, clock });
  const proofs = { database, nonces, nowMs: () => clock.now() };
  const about = { role: 'storage', database, installationId, publicUrl, clock } as const;
  const keys = createTokenKeys({ database, clock });
  const authenticate = createAuthenticate({ ...about, keys, proofs, readState: { device: readDeviceState } });
  const archives = new OpenArchives(options);
  const receipts = await openReceiptSigner({ database, kms, clock });
  const memory = new BodyMemory(MAX_BODY_MEMORY_BYTES);
  const hasRoom = watchRoom([options.blobsDir, ...(options.databaseDir === undefined ? [] : [options.databaseDir])], {
    clock,
    log,
  });
  const quotas = new Quotas();
  const jobs = await JobSender.open(database, log);
  const adapters = { jobs, hasRoom, installationId, archives, receipts, memory, quotas, clock, log };
  const refusals = new RefusalLog({ database, writeAudit, clock });
  mountStorage(app, { ...about, authenticate, writeAudit, refusals, stopping, adapters });
  const closeUnused = async () => {
    while (!stopping.aborted) {
      archives.closeIdle();
      await clock.sleep(IDLE_CHECK_MS, stopping).catch(() => undefined);
    }
  };
  const background = () => Promise.all([closeUnused(), refusals.run(log, stopping)]);
  const find: Storage['findKeyring'] = (of, sha256) => findKeyring(archives, of, sha256);
  return {
    nonces,
    findKeyring: find,
    runBackground: () => background().then(() => undefined),
    close: async () => {
      await archives.close();
      await jobs.close();
    },
  };
}
