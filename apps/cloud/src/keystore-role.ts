import path from 'node:path';
import { CodedError, retryDelayMs, type Clock } from '@holdfast/base';
import type { Assembly } from './assembly.ts';
import type { BootstrapDeps } from './bootstrap.ts';
import { keystoreClient, type KeystoreClient } from './keystore/client.ts';
import type { KeystoreFacts } from './keystore/orders.ts';
import { startKeystore, type KeystoreProcess } from './keystore/supervise.ts';
import { ensureEscrowKeys, listTenantsWithoutEscrowKeys } from './modules/escrow/index.ts';
import { prepareInstallation } from './bootstrap.ts';
import { databaseAddressOf } from './platform/database-url.ts';
import type { KmsProvider } from './platform/kms.ts';
import type { Log } from './platform/log.ts';

/** The keystore of a server, in a process of its own. */
export type KeystoreRole = {
  readonly client: KeystoreClient;
  readonly process: KeystoreProcess;
  /** Tells it where its database is, once that is open. */
  order(facts: { readonly installationId: string }): void;
};

/** What ending it may take: it finishes what is under way, and is killed after 10 s. */
const STOP_MS = 11_000;
const READY_MS = 10_000;

/**
 * Starts the keystore. It loads while the database is opened, and is told then what it needs and nothing more: keys of its
 * role, the password of its login, and where the database is.
 */
export function startKeystoreRole(assembly: Assembly, kms: KmsProvider): KeystoreRole {
  const { config, log } = assembly;
  const facts = Promise.withResolvers<KeystoreFacts>();
  const process = startKeystore(
    { facts: facts.promise, readAccess: () => kms.accessFor('keystore') },
    { log, tokenEnvironment: config.kms.kind === 'pkcs11' ? config.tokenEnvironment : {} },
  );
  deferKeystore(assembly, process);
  return {
    client: keystoreClient(config.homeDir),
    process,
    order({ installationId }) {
      facts.resolve({
        homeDir: config.homeDir,
        installationId,
        database: databaseOf(assembly),
        password: kms.derivePassword('hf_keystore'),
        logLevel: config.logLevel,
      });
      // Again, so that it ends before the database that it works with.
      deferKeystore(assembly, process);
    },
  };
}

function deferKeystore({ undo }: Assembly, process: KeystoreProcess): void {
  undo.defer(
    'keystore',
    () => process.stop(),
    () => STOP_MS,
  );
}

/** Where its database is; whatever else the address says is the administrator's. */
function databaseOf({ config: { databaseUrl, homeDir } }: Assembly): KeystoreFacts['database'] {
  if (databaseUrl === undefined) return { dataDir: path.join(homeDir, 'postgres', 'data'), name: 'holdfast' };
  return { url: databaseAddressOf(databaseUrl) };
}

type Making = BootstrapDeps & { readonly log: Log };

const RETRIES = { attempts: Infinity, firstDelayMs: 2_000, maxDelayMs: 60_000 };

/**
 * Waits for the keystore and gives escrow keys to tenants that have none, which were made before there were any.
 *
 * A keystore that is away, or a tenant that fails, keeps no server from starting: it is tried again until `signal` aborts.
 * Resolves after the first try, with what goes on.
 */
export async function giveEscrowKeys(
  deps: Making,
  process: KeystoreProcess,
  signal: AbortSignal,
): Promise<{ readonly goingOn: Promise<void> }> {
  const isReady = await process.awaitReady(READY_MS);
  if (!isReady) deps.log.error({}, 'the keystore did not become ready; the server starts without it');
  if (await tryToGive(deps)) return { goingOn: Promise.resolve() };
  return { goingOn: keepGiving(deps, deps.clock, signal) };
}

async function keepGiving(deps: Making, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let failures = 1; !signal.aborted; failures++) {
    await clock.sleep(retryDelayMs(RETRIES, Math.min(failures, 10), 1), signal).catch(() => undefined);
    if (signal.aborted || (await tryToGive(deps))) return;
  }
}

/** Says whether every tenant has keys now. */
async function tryToGive(deps: Making): Promise<boolean> {
  let failures = 0;
  try {
    const installationId = await prepareInstallation(deps);
    for (const tenantId of await deps.system.withoutTenant((tx) => listTenantsWithoutEscrowKeys(tx))) {
      await ensureEscrowKeys({ ...deps, installationId }, tenantId).catch((err: unknown) => {
        failures++;
        if (err instanceof CodedError && err.kind === 'unavailable') throw err;
        deps.log.error({ err }, 'a tenant did not get its escrow keys; it is tried again');
      });
    }
  } catch (err) {
    deps.log.error({ err }, 'tenants did not get their escrow keys; it is tried again');
    return false;
  }
  return failures === 0;
}
