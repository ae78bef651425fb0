import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { mountApi, type Api } from './api.ts';
import {
  cloudErrors,
  deferRelease,
  endParts,
  newAssembly,
  takeHome,
  workOn,
  type Assembly,
  type CloudEdges,
} from './assembly.ts';
import { prepareInstallation, type BootstrapDeps, type InstallationDeps } from './bootstrap.ts';
import { caSha256Of, mountCaPage } from './ca-page.ts';
import { redactConfig, type CloudConfig } from './config.ts';
import { keystoreClient, type KeystoreClient } from './keystore/client.ts';
import { giveEscrowKeys, startKeystoreRole, type KeystoreRole } from './keystore-role.ts';
import { startJobsRole } from './jobs-role.ts';
import type { ServerFacts } from './modules/devices/index.ts';
import { hasKeys, openKms } from './open-kms.ts';
import { databaseTargetOf } from './platform/database-url.ts';
import {
  EMBEDDED_PORT,
  openSocketHost,
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from './platform/embedded-postgres.ts';
import { lockFile } from './platform/file-lock.ts';
import { startPrivateServer, type Readiness } from './platform/health.ts';
import { prepareHttp } from './platform/http.ts';
import type { KmsProvider } from './platform/kms.ts';
import { createPublicApp } from './platform/listen-app.ts';
import { openPublicListener, type PublicListener } from './platform/listen.ts';
import { createMetrics, type Metrics } from './platform/metrics.ts';
import { migrateDatabase, type LoginPasswords } from './platform/migrate.ts';
import { Database, logins, type DatabaseTarget, type Login } from './platform/postgres.ts';
import { ownFolder } from './platform/state-folder.ts';
import { certificateFiles, localCertificates, type CertificateSource } from './platform/tls.ts';
import { recordRotation, type RotateDeps, type Rotation } from './rotate-keys.ts';
import { readServerAddress, writeServerAddress } from './server-address.ts';
import { mountStorageRole, type Storage } from './storage-role.ts';
import { mountWelcomePage } from './welcome-page.ts';
import { readWitnessCa } from './witness-ca.ts';

/** A running server. */
export type Cloud = {
  /** Where people and agents reach it, without a final slash. */
  readonly url: string;
  readonly port: number;
  /** The local CA's certificate; undefined when the certificate comes from files. */
  readonly caFile: string | undefined;
  /** Where `/livez`, `/readyz` and `/metrics` are: a socket file or `host:port`. */
  readonly privateAddress: string;
  /** What making tenants needs. */
  readonly bootstrap: BootstrapDeps;
  readonly keystore: KeystoreRole;
  /** The role api as mounted. */
  readonly api: Api;
  /**
   * Ends in order: no new requests, those under way within the deadline (10 s), then the database. Once is enough.
   *
   * No part is waited for without end, nor keeps those after it from being ended. @throws cloud.stop_incomplete naming them
   */
  stop(deadlineMs?: number): Promise<void>;
};

/** Socket of the private listener below HOLDFAST_HOME. */
export const PRIVATE_SOCKET = 'private.sock';

const STOP_DEADLINE_MS = 10_000;
/** What a part with a deadline of its own may take beyond it. */
const SETTLE_MS = 3_000;
/** The embedded database ends what is under way, and then what does not end, within 20 s. */
const DATABASE_STOP_MS = 22_000;

/**
 * Starts a whole server in this process: state folder, keys, database, migrations, listeners, routes.
 *
 * Resolves when it answers. When any step fails, the steps before it are undone, latest first.
 * @throws cloud.already_running, and what the parts throw.
 */
export async function startCloud(config: CloudConfig, edges: CloudEdges): Promise<Cloud> {
  const assembly = newAssembly(config, edges);
  try {
    return await assemble(assembly);
  } catch (error) {
    await assembly.undo.end();
    throw error;
  }
}

/**
 * Brings the database up to date and stops again; returns the names of the migrations applied.
 * @throws cloud.already_running: a running server has done it at its start.
 */
export async function migrateCloud(config: CloudConfig, edges: CloudEdges): Promise<readonly string[]> {
  const assembly = newAssembly(config, edges);
  return workOn(assembly, async () => {
    await takeHome(assembly);
    const { applied } = await openDatabases(assembly, await openKms(assembly));
    return applied;
  });
}

/** What an operator of the server works with: past the api, on the machine itself. */
export type Operator = {
  readonly bootstrap: BootstrapDeps;
  readonly server: ServerFacts;
  /** For changing the keys that wrap. */
  readonly keys: RotateDeps;
};

/**
 * Runs an operator's work on the server of a folder, whether it runs or not; what is done is recorded as the operator's.
 *
 * Nobody signs in for it: an operator is who owns the folder and reads its master keys, from which the logins of the
 * database follow. No other login may add a tenant, and no route does.
 * @throws cloud.never_started where there is no server yet, state_folder.foreign, kms.foreign_key_file
 */
export async function operateCloud<T>(
  config: CloudConfig,
  edges: CloudEdges,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const assembly = newAssembly(config, edges);
  const { homeDir } = config;
  if (!hasKeys(config)) throw cloudErrors.never_started({ homeDir });
  await ownFolder(homeDir);
  return workOn(assembly, async () => {
    const lock = lockFile(path.join(homeDir, 'cloud.lock'));
    if (lock) deferRelease(assembly, lock);
    const kms = await openKms(assembly);
    const { bootstrap, target } = lock ? await openForOperator(assembly, kms) : openRunningDatabase(assembly, kms);
    const owner = openOwner(assembly, target, kms);
    const installationId = await prepareInstallation(bootstrap);
    const address = await readServerAddress(homeDir);
    const url = config.publicUrl ?? address ?? `https://localhost:${config.listen.port}`;
    const { caFile } = await openCertificates(assembly);
    const caSha256 = caFile === undefined ? null : caSha256Of(await readFile(caFile, 'utf8'));
    const record = (done: Rotation) => recordRotation(bootstrap, installationId, done);
    const keys = { provider: kms, owner, clock: assembly.clock, log: assembly.log, record };
    return work({ bootstrap, server: { installationId, publicUrl: () => url, caSha256 }, keys });
  });
}

/** What an operator works with, and where its database is. */
type OperatorParts = { readonly bootstrap: BootstrapDeps; readonly target: DatabaseTarget };

/** What a server that does not run has, as its start would leave it: migrated, and no tenant without escrow keys. */
async function openForOperator(assembly: Assembly, kms: KmsProvider): Promise<OperatorParts> {
  const keystore = startKeystoreRole(assembly, kms);
  const { installation, target } = await openDatabases(assembly, kms);
  const bootstrap = { ...installation, keystore: keystore.client };
  keystore.order({ installationId: await prepareInstallation(installation) });
  await giveEscrowKeys({ ...bootstrap, log: assembly.log }, keystore.process, AbortSignal.abort());
  return { bootstrap, target };
}

/** The connections of the owner of all tables; none is made before it is needed. */
function openOwner({ log, undo }: Assembly, target: DatabaseTarget, kms: KmsProvider): Database {
  const password = passwordsOf(kms).hf_migrate;
  const owner = new Database(target, { login: 'hf_migrate', password, maxConnections: 1, log });
  undo.defer('connections of hf_migrate', () => owner.close());
  return owner;
}

/** The database of a server that runs: the operator's, or the embedded one by its socket; and its keystore by its own. */
function openRunningDatabase({ config, log, clock, undo }: Assembly, kms: KmsProvider): OperatorParts {
  const embedded = () => {
    const socket = openSocketHost(path.join(config.homeDir, 'postgres', 'data'));
    undo.defer('socket of the database', () => socket.close());
    return { host: socket.host, port: EMBEDDED_PORT, database: 'holdfast' };
  };
  const target = config.databaseUrl === undefined ? embedded() : databaseTargetOf(config.databaseUrl);
  const system = new Database(target, {
    login: 'hf_system',
    password: passwordsOf(kms).hf_system,
    maxConnections: 1,
    log,
  });
  undo.defer('connections of hf_system', () => system.close());
  const keystore = keystoreClient(config.homeDir);
  return { bootstrap: { system, kms: kms.forRole('api'), clock, keystore }, target };
}

async function assemble(assembly: Assembly): Promise<Cloud> {
  const { config, log, clock, undo } = assembly;
  log.info({ config: redactConfig(config), node: process.version }, 'starting');
  await takeHome(assembly);
  const kms = await openKms(assembly);
  const keystore = startKeystoreRole(assembly, kms);
  const metrics = createMetrics();
  const certificates = await openCertificates(assembly);
  const closing = { deadlineMs: STOP_DEADLINE_MS };
  // Opened before the database, so that a taken port is found out at once; closed before it when all is well.
  const listener = await openPublicListener({ address: config.listen, certificates, log, clock });
  undo.defer('listener', () => listener.close(0));
  const url = config.publicUrl ?? `https://localhost:${listener.port}`;
  const databases = await openDatabases(assembly, kms);
  const bootstrap = { ...databases.installation, keystore: keystore.client };
  keystore.order({ installationId: await prepareInstallation(bootstrap) });
  const readiness = () => checkReadiness(databases, keystore.client);
  const privateServer = await startPrivateServer({
    address: privateAddressOf(config),
    metrics,
    readiness,
    dispensable: ['keystore'],
  });
  undo.defer('private listener', () => privateServer.close());
  const { caFile } = certificates;
  const parts = { listener, metrics, databases, kms, url, caFile, keystore: keystore.client };
  const { api, storage } = await mountEverything(assembly, parts);
  const { target, systemPassword: password } = databases;
  const { system, kms: apiKms } = bootstrap;
  const { installationId } = api;
  const readKeyring = storage.findKeyring.bind(storage);
  const escrow = { keystore: keystore.client, kms: apiKms, installationId, readKeyring };
  const jobs = await startJobsRole({ target, password, system, clock, log, metrics, escrow });
  const patienceMs = () => closing.deadlineMs + SETTLE_MS;
  undo.defer('jobs', () => jobs.stop(closing.deadlineMs), patienceMs);
  undo.defer('requests', () => listener.close(closing.deadlineMs), patienceMs);
  await prepareKeystore(assembly, keystore, bootstrap);
  await writeServerAddress(config.homeDir, url);
  log.info({ port: listener.port }, 'ready');
  return {
    url,
    port: listener.port,
    caFile,
    privateAddress: privateServer.address,
    bootstrap,
    keystore,
    api,
    async stop(deadlineMs = STOP_DEADLINE_MS) {
      closing.deadlineMs = deadlineMs;
      await endParts(assembly);
      log.info({}, 'stopped');
    },
  };
}

/** Waits for the keystore, within bounds; what tenants lack of it is given to them, now or when it is there. */
async function prepareKeystore(
  { log, undo }: Assembly,
  keystore: KeystoreRole,
  bootstrap: BootstrapDeps,
): Promise<void> {
  const stopping = new AbortController();
  const { goingOn } = await giveEscrowKeys({ ...bootstrap, log }, keystore.process, stopping.signal);
  undo.defer('escrow keys', () => {
    stopping.abort();
    return goingOn;
  });
}

async function openCertificates({ config, clock, random }: Assembly): Promise<CertificateSource> {
  const files = config.certificateFiles;
  if (files) return certificateFiles(files.certFile, files.keyFile);
  const hosts = ['localhost', '127.0.0.1', '::1'];
  if (config.publicUrl !== undefined) hosts.push(new URL(config.publicUrl).hostname.replace(/^\[|\]$/g, ''));
  return localCertificates({ tlsDir: path.join(config.homeDir, 'tls'), hosts: [...new Set(hosts)], clock, random });
}

type Databases = {
  /** The connections of `hf_api`. */
  readonly api: Database;
  /** The connections of `hf_storage`. */
  readonly storage: Database;
  readonly installation: InstallationDeps;
  /** Where it is, and the password of `hf_system`, for the role jobs. */
  readonly target: DatabaseTarget;
  readonly systemPassword: string;
  readonly isReady: () => boolean;
  /** Names of the migrations applied just now. */
  readonly applied: readonly string[];
};

/** Opens the connections of each login to a database that is up to date and has its identity. */
async function openDatabases(assembly: Assembly, kms: KmsProvider): Promise<Databases> {
  const { log, clock, undo } = assembly;
  const { target, passwords, isReady, applied } = await openDatabase(assembly, kms);
  const open = (login: Login, maxConnections: number) => {
    const database = new Database(target, { login, password: passwords[login], maxConnections, log });
    undo.defer(`connections of ${login}`, () => database.close());
    return database;
  };
  const installation = { system: open('hf_system', 5), kms: kms.forRole('api'), clock };
  await prepareInstallation(installation);
  const roles = { api: open('hf_api', 20), storage: open('hf_storage', 20), installation };
  return { ...roles, target, systemPassword: passwords.hf_system, isReady, applied };
}

type OpenedDatabase = {
  readonly target: DatabaseTarget;
  readonly passwords: LoginPasswords;
  readonly isReady: () => boolean;
  readonly applied: readonly string[];
};

/** Starts or finds the database and brings it up to date. */
async function openDatabase({ config, log, clock, undo }: Assembly, kms: KmsProvider): Promise<OpenedDatabase> {
  const passwords = passwordsOf(kms);
  if (config.databaseUrl !== undefined) {
    const target = databaseTargetOf(config.databaseUrl);
    const { username: user, password } = new URL(config.databaseUrl);
    const admin = { user: decodeURIComponent(user), password: decodeURIComponent(password), database: 'postgres' };
    const { applied } = await migrateDatabase({ target, passwords, log, ...(user !== '' && { admin }) });
    return { target, passwords, isReady: () => true, applied };
  }
  const superuserPassword = kms.derivePassword('embedded postgres superuser');
  const server: EmbeddedPostgres = await startEmbeddedPostgres({
    homeDir: config.homeDir,
    superuserPassword,
    log,
    clock,
  });
  undo.defer(
    'database',
    () => server.stop(),
    () => DATABASE_STOP_MS,
  );
  const target = { host: server.host, port: server.port, database: 'holdfast' };
  const admin = { user: server.superuser, password: superuserPassword, database: server.database };
  const { applied } = await migrateDatabase({ target, passwords, admin, log });
  return { target, passwords, isReady: () => server.isReady(), applied };
}

function passwordsOf(kms: KmsProvider): LoginPasswords {
  return Object.fromEntries(logins.map((login) => [login, kms.derivePassword(login)])) as LoginPasswords;
}

function privateAddressOf({ homeDir, privateListen }: CloudConfig) {
  return privateListen ?? { socketFile: path.join(homeDir, PRIVATE_SOCKET) };
}

async function checkReadiness({ api, isReady }: Databases, keystore: KeystoreClient): Promise<Readiness> {
  const askDatabase = () => api.withoutTenant(async () => 'ok').catch(() => 'the database does not answer');
  const [database, keys] = await Promise.all([
    isReady() ? askDatabase() : 'the embedded database is being started again',
    keystore.checkReadiness(),
  ]);
  return { database, keystore: keys };
}

type Parts = {
  readonly listener: PublicListener;
  readonly metrics: Metrics;
  readonly databases: Databases;
  readonly kms: KmsProvider;
  readonly url: string;
  readonly caFile: string | undefined;
  readonly keystore: KeystoreClient;
};

/** Folder of all archives below HOLDFAST_HOME. */
export const BLOBS_DIR = 'blobs';

/** The table of contents: one line per role. */
async function mountEverything(assembly: Assembly, parts: Parts): Promise<{ api: Api; storage: Storage }> {
  const { config, log, clock, random, disk, undo } = assembly;
  const { listener, metrics, databases, kms, url, caFile, keystore } = parts;
  const { publicUrl, trustedProxies, witnesses } = config;
  const stopping = new AbortController();
  const app = createPublicApp({ listener, publicUrl, trustedProxies, log, metrics, clock, random });
  prepareHttp(app, { log, clock });
  mountWelcomePage(app);
  const caSha256 = caFile === undefined ? null : await mountCaPage(app, caFile);
  const about = { publicUrl: () => url, clock, log, stopping: stopping.signal };
  const readKeyring: Storage['findKeyring'] = (...of) => storage.findKeyring(...of);
  const witnessCa = await readWitnessCa(config);
  const ofWitnesses = { witnesses, witnessCa };
  const ofApi = { database: databases.api, kms: kms.forRole('api'), keystore, readKeyring, ...ofWitnesses };
  const api = await mountApi(app, { ...about, ...ofApi, caSha256 });
  const storage = await mountStorageRole(app, {
    ...about,
    ...(disk && { disk }),
    database: databases.storage,
    kms: kms.forRole('storage'),
    blobsDir: path.join(config.homeDir, BLOBS_DIR),
    ...(config.databaseUrl === undefined && { databaseDir: path.join(config.homeDir, 'postgres') }),
  });
  // Undone in reverse: first the listener closes, then what the requests used.
  undo.defer('archives', () => storage.close());
  await listener.serve(app);
  const background = Promise.all([api.runBackground(), storage.runBackground()]);
  undo.defer('background work', async () => {
    stopping.abort();
    await background;
  });
  return { api, storage };
}
