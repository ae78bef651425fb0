import path from 'node:path';
import { systemClock, systemRandom } from '@holdfast/base';
import { databaseTargetOf } from '../platform/database-url.ts';
import { EMBEDDED_PORT, openSocketHost } from '../platform/embedded-postgres.ts';
import { lockFile, type FileLock } from '../platform/file-lock.ts';
import { createLog, type Log } from '../platform/log.ts';
import { Database, type DatabaseTarget } from '../platform/postgres.ts';
import { overwriteAccess } from '../platform/role-access.ts';
import { followAccess } from './follow-access.ts';
import { closeMemory } from './native-calls.ts';
import { keystoreErrors } from './errors.ts';
import type { KeystoreFacts, KeystoreOrders } from './orders.ts';
import { Parent } from './parent.ts';
import { serveKeystore } from './serve.ts';

/** A predecessor whose server was killed ends within so much. */
const LOCK_WAIT_MS = 3_000;
const LOCK_POLL_MS = 25;
const MAX_CONNECTIONS = 8;
const CLOSE_MS = 1_000;

// Before anything secret is read: standard input brings all that this process ever knows.
const isClosed = closeMemory();
// A terminal and a service manager send these to all processes at once: the server ends this one when its own work is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

// Where the server is gone, the end of the pipe says it.
const parent = new Parent(process.stdin, (question) => process.send?.(question, undefined, undefined, () => undefined));
const orders = await parent.orders;
if (orders) await run(orders);

async function run({ access, ...facts }: KeystoreOrders): Promise<void> {
  const { homeDir, installationId } = facts;
  const log = createLog({ level: facts.logLevel });
  process.on('uncaughtException', (err) => {
    log.error({ err }, 'the keystore ends after a fault');
    process.exit(1);
  });
  if (!isClosed) log.warn({}, 'this system does not close the memory of a process to others of its user');
  // The pipe ends with the server, in whatever way it ends: nothing is left over.
  const ended = parent.ended.catch((err: unknown) => log.error({ err }, 'the keystore does not understand its server'));
  const lock = await takeLock(path.join(homeDir, 'keystore.lock'));
  const database = openDatabase(facts, log);
  const kms = await followAccess(access, () => parent.askAccess(), systemRandom);
  const context = { installationId, database, kms, clock: systemClock, random: systemRandom };
  const server = await serveKeystore(homeDir, context, log);
  process.send?.('ready');
  log.info({}, 'the keystore answers');
  await ended;
  await server.close();
  // A database that no longer answers keeps nothing from ending.
  await Promise.race([database.close(), systemClock.sleep(CLOSE_MS)]);
  overwriteAccess(access);
  lock.release();
  process.exit(0);
}

/** @throws keystore.already_running */
async function takeLock(file: string): Promise<FileLock> {
  const until = systemClock.monotonic() + LOCK_WAIT_MS;
  for (;;) {
    const lock = lockFile(file);
    if (lock) return lock;
    if (systemClock.monotonic() > until) throw keystoreErrors.already_running();
    await systemClock.sleep(LOCK_POLL_MS);
  }
}

function openDatabase({ database, password }: KeystoreFacts, log: Log): Database {
  const options = { login: 'hf_keystore', password, maxConnections: MAX_CONNECTIONS, log } as const;
  const embedded = (dataDir: string, name: string): DatabaseTarget => ({
    host: openSocketHost(dataDir).host,
    port: EMBEDDED_PORT,
    database: name,
  });
  const target = 'url' in database ? databaseTargetOf(database.url) : embedded(database.dataDir, database.name);
  return new Database(target, options);
}
