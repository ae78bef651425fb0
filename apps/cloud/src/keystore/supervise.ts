import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '@holdfast/base';
import { logLevels, type Log, type LogLevel } from '../platform/log.ts';
import { SupervisedChild } from '../platform/supervised-child.ts';
import { sendOrders, type KeystoreOrders } from './orders.ts';

/** A keystore that runs as a child of this process, and is started again whenever it ends. */
export type KeystoreProcess = {
  /** Its process while it runs. */
  pid(): number | undefined;
  /** Whether it answered at its first start, within a time; where not, it is tried again meanwhile. */
  awaitReady(timeoutMs: number): Promise<boolean>;
  /** Ends it; asked again, nothing more happens. */
  stop(): Promise<void>;
};

/** No debugger at a signal; the collector at call, for what is forgotten; a small heap, since what it does is small; as few copies of it as can be. */
const nodeFlags = ['--disable-sigusr1', '--expose-gc', '--max-old-space-size=128', '--max-semi-space-size=2'];
const MAX_LINE_LENGTH = 4_000;

/**
 * Starts a keystore; it waits for its orders, so that it can be started before what they name.
 *
 * Its environment is nothing but how it is to use memory, and its lines go to `log`.
 */
export function startKeystore(orders: Promise<KeystoreOrders>, log: Log): KeystoreProcess {
  const child = new SupervisedChild({
    name: 'keystore',
    launch: () => launch(orders, log),
    log,
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

function launch(orders: Promise<KeystoreOrders>, log: Log): ChildProcess {
  const program = path.join(import.meta.dirname, 'main.ts');
  // No code that was compiled before is kept: whoever could write where it lies would have it run with the keys.
  const env = { MALLOC_ARENA_MAX: '2' };
  const child = spawn(process.execPath, [...nodeFlags, program], { env, stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  child.on('error', (err) => log.error({ err }, 'the keystore could not be started'));
  // It may be gone before it was told anything.
  child.stdin?.on('error', () => undefined);
  orders.then(
    (given) => child.stdin && sendOrders(child.stdin, given),
    () => child.stdin?.end(),
  );
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on('line', (line) => passOn(log, line));
  return child;
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
