import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock, systemRandom, type Clock } from '@holdfast/base';
import { createClient, clientCredentials, type Client, type Credentials } from '@holdfast/sdk';
import { mountApi, type Api, type ApiOptions } from '../api.ts';
import { mountStorageRole, type Storage } from '../storage-role.ts';
import { createTenant, prepareInstallation, type BootstrapDeps, type NewTenant } from '../bootstrap.ts';
import { prepareHttp } from '../platform/http.ts';
import type { Keystore } from '../keystore/operations.ts';
import type { KmsProvider } from '../platform/kms.ts';
import { openKeyFileKms } from '../platform/kms-file.ts';
import { createPublicApp } from '../platform/listen-app.ts';
import type { PublicListener } from '../platform/listen.ts';
import { silentLog, type Log } from '../platform/log.ts';
import { createMetrics } from '../platform/metrics.ts';
import type { Database } from '../platform/postgres.ts';
import type { TestCluster, TestDatabase } from './test-cluster.ts';
import { localKeystore } from './local-keystore.ts';

/** The whole server in this process, over plain HTTP on loopback, on a database of its own. */
export type TestCloud = {
  readonly url: string;
  readonly testDatabase: TestDatabase;
  /** The pools the server uses. */
  readonly database: Database;
  readonly system: Database;
  readonly kms: KmsProvider;
  /** What making tenants needs; the keystore in it works in this process. */
  readonly bootstrap: BootstrapDeps & { readonly keystore: Keystore };
  readonly api: Api;
  /** The role storage as mounted; its archives are below `homeDir`. */
  readonly storage: Storage;
  readonly homeDir: string;
  readonly clock: Clock;
  /** What the server logged as its own fault. A test that leaves one behind should fail. */
  readonly faults: readonly unknown[];
  /** Makes a tenant with an administrator and an API client. */
  addTenant(slug: string): Promise<NewTenant>;
  /** A client of the SDK. */
  clientFor(credentials: Credentials): Client;
  /** The SDK with the API client of a tenant. */
  clientOf(tenant: NewTenant): Client;
  stop(): Promise<void>;
};

/** What a test decides of its server. */
export type TestCloudOptions = {
  readonly clock?: Clock;
  /** Where its keys are; a key file when absent. */
  readonly openKms?: (homeDir: string) => Promise<KmsProvider>;
};

const openKeyFile = (homeDir: string) => openKeyFileKms(path.join(homeDir, 'master-keys.json'), { nowMs: 0 });

/** Starts a server on a fresh copy of the cluster's database. */
export async function startTestCloud(cluster: TestCluster, options: TestCloudOptions = {}): Promise<TestCloud> {
  const { clock = systemClock, openKms = openKeyFile } = options;
  const testDatabase = await cluster.copyDatabase();
  const [database, system] = [testDatabase.open('hf_api'), testDatabase.open('hf_system')];
  const homeDir = await mkdtemp(path.join(tmpdir(), 'holdfast cloud '));
  const kms = await openKms(homeDir);
  const bootstrap = await prepareBootstrap(testDatabase, { system, kms, clock });
  const faults: unknown[] = [];
  const log: Log = { ...silentLog, error: (facts) => faults.push(facts) };
  const listener = await listenPlainly();
  const url = `http://127.0.0.1:${listener.port}`;
  const stopping = new AbortController();
  const app = createPublicApp({
    listener,
    publicUrl: undefined,
    trustedProxies: [],
    log,
    metrics: createMetrics(),
    clock,
    random: systemRandom,
  });
  prepareHttp(app, { log, clock });
  const about = { publicUrl: () => url, clock, log, stopping: stopping.signal };
  const { api, storage } = await mountRoles(app, about, { testDatabase, database, kms, homeDir, bootstrap });
  await listener.serve(app);
  const clientFor = (credentials: Credentials) => createClient({ baseUrl: url, fetch, credentials });
  return {
    url,
    testDatabase,
    database,
    system,
    kms,
    bootstrap,
    api,
    storage,
    homeDir,
    clock,
    faults,
    clientFor,
    addTenant: (slug) => createTenant(bootstrap, { slug, name: `Tenant ${slug}`, adminUsername: `admin@${slug}` }),
    clientOf: ({ apiClientId: clientId, apiClientSecret: clientSecret }) =>
      clientFor(clientCredentials({ clientId, clientSecret }, { baseUrl: url, fetch, nowMs: () => clock.now() })),
    async stop() {
      stopping.abort();
      await listener.close(0);
      await storage.close();
      await testDatabase.close();
      await rm(homeDir, { recursive: true, force: true });
    },
  };
}

type Made = Pick<TestCloud, 'testDatabase' | 'database' | 'kms' | 'homeDir' | 'bootstrap'>;

async function mountRoles(
  app: Parameters<typeof mountApi>[0],
  about: Pick<ApiOptions, 'publicUrl' | 'clock' | 'log' | 'stopping'>,
  { testDatabase, database, kms, homeDir, bootstrap }: Made,
): Promise<{ readonly api: Api; readonly storage: Storage }> {
  const readKeyring: Storage['findKeyring'] = (...of) => storage.findKeyring(...of);
  const ofApi = { database, kms: kms.forRole('api'), keystore: bootstrap.keystore, readKeyring };
  const api = await mountApi(app, { ...about, ...ofApi, caSha256: null });
  const storage = await mountStorageRole(app, {
    ...about,
    database: testDatabase.open('hf_storage'),
    kms: kms.forRole('storage'),
    blobsDir: path.join(homeDir, 'blobs'),
  });
  return { api, storage };
}

/** What making tenants needs; the keystore works in this process. */
async function prepareBootstrap(
  testDatabase: TestDatabase,
  { system, kms, clock }: { readonly system: Database; readonly kms: KmsProvider; readonly clock: Clock },
): Promise<TestCloud['bootstrap']> {
  const installation = { system, kms: kms.forRole('api'), clock };
  const installationId = await prepareInstallation(installation);
  const ofKeystore = { database: testDatabase.open('hf_keystore'), kms: kms.forRole('keystore'), clock };
  return { ...installation, keystore: localKeystore({ ...ofKeystore, installationId }) };
}

/** A listener without TLS: what answers behind it is the same app. */
async function listenPlainly(): Promise<PublicListener> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let close = async () => {};
  return {
    port: (server.address() as AddressInfo).port,
    serverFactory: (handler) => server.on('request', handler),
    async serve(app) {
      close = () => app.close();
      await app.ready();
    },
    async close() {
      server.closeAllConnections();
      await close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
