import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '@holdfast/base';
import { logLevels, type Log, type LogLevel } from '../platform/log.ts';
import { SupervisedChild } from '../platform/supervised-child.ts';
import { overwriteAccess, type RoleAccess } from '../platform/role-access.ts';
import { sendAccess, sendOrders, type KeystoreFacts } from './orders.ts';
import { questionOf } from './parent.ts';

/** A keystore that runs as a child of this process, and is started again whenever it ends. */
export type KeystoreProcess = {
  /** Its process while it runs. */
  pid(): number | undefined;
  /** Whether it answered at its first start, within a time; where not, it is tried again meanwhile. */
  awaitReady(timeoutMs: number): Promise<boolean>;
  /** Ends it; asked again, nothing more happens. */
  stop(): Promise<void>;
};

/** What a keystore is told. */
export type KeystoreTelling = {
  /** Where its database is; awaited by each start. */
  readonly facts: Promise<KeystoreFacts>;
  /** What opens its keys, as it is now: they may be changed while it runs. A copy, which is overwritten once it is sent. */
  readonly readAccess: () => Promise<RoleAccess>;
};

/** Where a keystore runs, and where its lines go. */
export type KeystorePlace = {
  readonly log: Log;
  /** Variables that the makers of tokens read; empty where there is no token. */
  readonly tokenEnvironment?: Readonly<Record<string, string>>;
};

/** No debugger at a signal; the collector at call, for what is forgotten; a small heap, since what it does is small; as few copies of it as can be. */
const nodeFlags = ['--disable-sigusr1', '--expose-gc', '--max-old-space-size=128', '--max-semi-space-size=2'];
/** Has glibc overwrite what is freed, of whatever size: Node frees copies of what it decrypts as they are. Few heaps, so that little is left over. */
export const forgetfulMemory = {
  GLIBC_TUNABLES: 'glibc.malloc.perturb=165:glibc.malloc.tcache_count=0',
  MALLOC_ARENA_MAX: '2',
};
const MAX_LINE_LENGTH = 4_000;

/**
 * Starts a keystore; it waits for its orders, so that it can be started before what they name.
 *
 * Its environment is nothing but how Node and the module of a token are to run, and its lines go to `log`.
 */
export function startKeystore(telling: KeystoreTelling, place: KeystorePlace): KeystoreProcess {
  const child = new SupervisedChild({
    name: 'keystore',
    launch: () => launch(telling, place),
    log: place.log,
    askToEnd: (each) => each.stdin?.end(),
    isDone: () => false,
  });
  const ready = child.startAlways();
  return {
    pid: () => child.pid,
    async awaitReady(timeoutMs) {
      const stop = new AbortController();
      const late = systemClock.sleep(timeoutMs, stop.signal).then(
        () => false,
        () => false,
      );
      const isReady = await Promise.race([ready, late]);
      stop.abort();
      return isReady;
    },
    stop: () => child.stop(),
  };
}

function launch(telling: KeystoreTelling, { log, tokenEnvironment }: KeystorePlace): ChildProcess {
  const program = path.join(import.meta.dirname, 'main.ts');
  // No code that was compiled before is kept: whoever could write where it lies would have it run with the keys.
  const env = { ...tokenEnvironment, ...forgetfulMemory };
  const child = spawn(process.execPath, [...nodeFlags, program], { env, stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  child.on('error', (err) => log.error({ err }, 'the keystore could not be started'));
  // It may be gone before it was told anything.
  child.stdin?.on('error', () => undefined);
  void tellOrders(child, telling, log);
  child.on('message', (message) => void answer(child, { message, telling, log }));
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on('line', (line) => passOn(log, line));
  return child;
}

/** Ends one that cannot be told its keys: it is started again, and told then. */
async function tellOrders({ stdin }: ChildProcess, { facts, readAccess }: KeystoreTelling, log: Log): Promise<void> {
  try {
    const given = await facts;
    const access = await readAccess();
    if (stdin) sendOrders(stdin, { ...given, access });
    overwriteAccess(access);
  } catch (err) {
    log.error({ err }, 'the keystore was not told what opens its keys');
    stdin?.end();
  }
}

type Heard = { readonly message: unknown; readonly telling: KeystoreTelling; readonly log: Log };

/** Answers a question for its keys; other messages of it are none. */
async function answer({ stdin }: ChildProcess, { message, telling, log }: Heard): Promise<void> {
  const asks = questionOf(message);
  if (asks === undefined || !stdin) return;
  const access = await telling.readAccess().catch((err: unknown) => {
    log.error({ err }, 'the keystore was not told what opens its keys now');
    return undefined;
  });
  if (stdin.writable) sendAccess(stdin, asks, access);
  if (access) overwriteAccess(access);
}

/** Writes a line of the keystore's log to ours. */
function passOn(log: Log, line: string): void {
  const { level, message, time: _, ...facts } = parseLine(line);
  const text = `keystore: ${typeof message === 'string' ? message : line.slice(0, MAX_LINE_LENGTH)}`;
  log[isLevel(level) ? level : 'error'](facts, text);
}

function parseLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function isLevel(value: unknown): value is LogLevel {
  return logLevels.includes(value as LogLevel);
}
