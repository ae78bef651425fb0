import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { retryDelayMs, systemClock, type Clock } from '@holdfast/base';
import { Client } from 'pg';
import { findPostgresBinaries } from './embedded-postgres-binaries.ts';
import { ensureCluster, SUPERUSER } from './embedded-postgres-cluster.ts';
import { embeddedPostgresErrors } from './embedded-postgres-errors.ts';
import { chooseIsolation, spawnPostgres, type Isolation, type IsolationKind } from './embedded-postgres-isolation.ts';
import { stopLeftovers } from './embedded-postgres-leftovers.ts';
import { lockFile, type FileLock } from './file-lock.ts';
import { silentLog, type Log } from './log.ts';
import { SpareRoom } from './spare-room.ts';

/** What `startEmbeddedPostgres` is told. */
export type EmbeddedPostgresOptions = {
  /** HOLDFAST_HOME; made with mode 0700 when missing. */
  readonly homeDir: string;
  /** One line; given to the superuser when the cluster is made, and needed at every later start. */
  readonly superuserPassword: string;
  readonly log?: Log;
  readonly clock?: Clock;
  /** As whom it runs; found out when left out. */
  readonly isolation?: IsolationKind;
  /** Folder for clusters that run under a uid of their own. */
  readonly ownUidDir?: string;
};

const DATABASE = 'postgres';
/** The port in the name of its socket. */
export const EMBEDDED_PORT = 5432;
/** Longest folder whose socket path fits into `sockaddr_un` (104 bytes on macOS) with room to spare. */
const LONGEST_SOCKET_DIR = 84;
const RESTART = { attempts: Infinity, firstDelayMs: 100, maxDelayMs: 5_000 };
const STOP_STEPS = [
  { signal: 'SIGINT', patienceMs: 10_000 },
  { signal: 'SIGQUIT', patienceMs: 5_000 },
  { signal: 'SIGKILL', patienceMs: 5_000 },
] as const;

/**
 * A running PostgreSQL of our own, below HOLDFAST_HOME; started again by itself when it dies.
 *
 * `host`, `port` and `superuser` are what `pg` wants. `host` is the folder of the Unix socket, or `/proc/self/fd/N`
 * where that folder's path is too long for a socket: good in this process alone, until `stop`. Another process calls
 * `openSocketHost(socketDir)` for its own.
 */
export class EmbeddedPostgres {
  readonly host: string;
  readonly port: number;
  readonly superuser = SUPERUSER;
  readonly database = DATABASE;
  /** Folder of the Unix socket, mode 0700; undefined on Windows, which has loopback TCP. */
  readonly socketDir: string | undefined;
  readonly isolation: IsolationKind;
  readonly #run: Run;
  readonly #release: () => void;
  #child: ChildProcess;
  #ready = true;
  #stopping = false;
  #stopped: Promise<void> | undefined;
  readonly #abort = new AbortController();
  readonly #keeping: Promise<void>;

  constructor(run: Run, child: ChildProcess, release: () => void) {
    this.#run = run;
    this.#child = child;
    this.#release = release;
    this.host = run.host;
    this.port = run.port;
    this.socketDir = process.platform === 'win32' ? undefined : run.dataDir;
    this.isolation = run.isolation.kind;
    this.#keeping = run.spare.keep(this.#abort.signal);
    this.#watch(child);
  }

  /** Whether it answers; false from the moment it died until it was started again. */
  isReady(): boolean {
    return this.#ready && !this.#stopping;
  }

  /** Process id of the postmaster. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ends it: open transactions are rolled back, everything committed is on disk. May be called twice. */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#abort.abort();
    const ended = () => Promise.all([endInOrder(this.#child, this.#run.clock), this.#keeping]);
    return (this.#stopped ??= ended()
      .then(() => undefined)
      .finally(this.#release));
  }

  #watch(child: ChildProcess): void {
    child.once('exit', (code, signal) => {
      this.#ready = false;
      if (this.#stopping) return;
      this.#run.log.error({ code, signal }, 'the database ended unexpectedly; starting it again');
      void this.#restart();
    });
  }

  async #restart(): Promise<void> {
    const { clock, log, isolation } = this.#run;
    for (let attempt = 1; !this.#stopping; attempt++) {
      try {
        await stopLeftovers(isolation, clock);
        if (this.#stopping) return;
        await this.#run.spare.giveWhereNeeded();
        // What is launched from here on is what `stop` ends: asked before, it has ended one that was gone.
        if (this.#stopping) return;
        this.#child = launch(this.#run);
        await untilReady(this.#run, this.#child);
        this.#watch(this.#child);
        this.#ready = true;
        log.info({ attempt }, 'the database runs again');
        return;
      } catch (error) {
        log.error({ err: error, attempt }, 'the database did not start again');
        await clock.sleep(retryDelayMs(RESTART, Math.min(attempt, 10), 1), this.#abort.signal).catch(() => undefined);
      }
    }
  }
}

type Run = {
  readonly isolation: Isolation;
  readonly spare: SpareRoom;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly superuserPassword: string;
  readonly log: Log;
  readonly clock: Clock;
};

/**
 * Starts PostgreSQL below HOLDFAST_HOME, making the cluster the first time and ending what an earlier run left over.
 *
 * It listens on no network, on a Unix socket in a folder of mode 0700; every connection needs a password. Resolves when
 * it answers. One process at a time runs a cluster.
 * @throws embedded_postgres.in_use when another process does.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { clock = systemClock, log = silentLog, superuserPassword } = options;
  const homeDir = path.resolve(options.homeDir);
  await mkdir(homeDir, { recursive: true, mode: 0o700 });
  const lock = lockFile(path.join(homeDir, 'postgres.lock'));
  if (!lock) throw embeddedPostgresErrors.in_use({ folder: homeDir });
  try {
    const isolation = await chooseIsolation({
      homeDir,
      binaries: await findPostgresBinaries(homeDir),
      ownUidDir: options.ownUidDir ?? '/var/lib/holdfast',
      wanted: options.isolation,
    });
    const leftovers = await stopLeftovers(isolation, clock);
    if (leftovers > 0) log.warn({ leftovers }, 'ended the database of an earlier run');
    const dataDir = await ensureCluster(isolation, superuserPassword);
    const spare = new SpareRoom(isolation.clusterDir, { clock, log });
    await spare.giveWhereNeeded();
    return await startCluster({ isolation, spare, dataDir, superuserPassword, log, clock }, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function startCluster(cluster: Omit<Run, 'host' | 'port'>, lock: FileLock): Promise<EmbeddedPostgres> {
  const socket = await openEndpoint(cluster.dataDir);
  const run: Run = { ...cluster, host: socket.host, port: socket.port };
  const child = launch(run);
  try {
    await untilReady(run, child);
  } catch (error) {
    await endInOrder(child, run.clock);
    socket.close();
    throw error;
  }
  return new EmbeddedPostgres(run, child, () => {
    socket.close();
    lock.release();
  });
}

async function openEndpoint(dataDir: string): Promise<{ host: string; port: number; close(): void }> {
  if (process.platform !== 'win32') return { ...openSocketHost(dataDir), port: EMBEDDED_PORT };
  return { host: '127.0.0.1', port: await freeLoopbackPort(), close: () => undefined };
}

/**
 * A name for a socket's folder that is short enough for a socket address; `close` it when nothing connects any more.
 *
 * On Linux a long path is reached through a descriptor of the folder, so it works wherever HOLDFAST_HOME lies.
 */
export function openSocketHost(socketDir: string): { host: string; close(): void } {
  if (process.platform !== 'linux' || Buffer.byteLength(socketDir) <= LONGEST_SOCKET_DIR) {
    return { host: socketDir, close: () => undefined };
  }
  const descriptor = openSync(socketDir, 'r');
  let isOpen = true;
  return {
    host: `/proc/self/fd/${descriptor}`,
    close() {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

async function freeLoopbackPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Settings are arguments, so that a newer Holdfast changes them for old clusters too. */
function settingsOf(run: Run): Record<string, string> {
  const where: Record<string, string> =
    process.platform === 'win32'
      ? { listen_addresses: '127.0.0.1' }
      : { listen_addresses: '', unix_socket_directories: '.', unix_socket_permissions: '0600' };
  return {
    ...where,
    port: String(run.port),
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    password_encryption: 'scram-sha-256',
    max_connections: '120',
    // One that crashed is started again from here: it may have to be given room first.
    restart_after_crash: 'off',
    // The log's files are used again sooner: a disk that is nearly full has no room for a gibibyte of them.
    max_wal_size: '128MB',
    shared_buffers: '64MB',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '',
    // The callers see their own errors; here statements and values of tenants would end up in a log.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    timezone: 'UTC',
  };
}

function launch(run: Run): ChildProcess {
  const settings = Object.entries(settingsOf(run)).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const args = ['-D', run.dataDir, ...settings];
  const child = spawnPostgres(run.isolation, 'postgres', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.on('error', (error) => run.log.error({ err: error }, 'the database could not be executed'));
  return child;
}

/** Resolves when the server says so and accepts our password; the lines it prints go to the log. */
async function untilReady(run: Run, child: ChildProcess): Promise<void> {
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause?: unknown) =>
      reject(embeddedPostgresErrors.start_failed({ folder: run.dataDir, output: lines.slice(-8).join('\n') }, cause));
    child.once('error', refuse);
    child.once('exit', () => setImmediate(refuse));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 50) lines.shift();
      run.log.debug({ line }, 'postgres');
      if (line.includes('ready to accept connections')) resolve();
    });
  });
  await checkPassword(run);
}

async function checkPassword(run: Run): Promise<void> {
  const client = new Client({
    host: run.host,
    port: run.port,
    user: SUPERUSER,
    password: run.superuserPassword,
    database: DATABASE,
  });
  client.on('error', () => undefined); // `connect` rejects; the event alone would end the process.
  try {
    await client.connect();
  } catch (error) {
    if ((error as { code?: string }).code !== '28P01') throw error;
    throw embeddedPostgresErrors.password_refused({ folder: run.dataDir }, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function endInOrder(child: ChildProcess, clock: Clock): Promise<void> {
  const exited = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const exit = new Promise<void>((resolve) => (exited() ? resolve() : child.once('exit', () => resolve())));
  for (const { signal, patienceMs } of STOP_STEPS) {
    if (exited()) return;
    child.kill(signal);
    const waiting = new AbortController();
    await Promise.race([exit, clock.sleep(patienceMs, waiting.signal).catch(() => undefined)]);
    waiting.abort();
  }
}
