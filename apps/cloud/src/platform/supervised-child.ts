import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { retryDelayMs, systemClock } from '@holdfast/base';
import type { Log } from './log.ts';

/** How a child process is run. */
export type SupervisedOptions = {
  /** As log lines call it. */
  readonly name: string;
  /** Starts it. It sends a message when it is ready. */
  readonly launch: () => ChildProcess;
  readonly log: Log;
  /** Asks it to end; a signal to end when absent. After 10 s it is killed. */
  readonly askToEnd?: (child: ChildProcess) => void;
  /** Whether its end is in order, so that it is not started again. */
  readonly isDone: (child: ChildProcess) => boolean;
};

const STOP_MS = 10_000;
const RESTART = { attempts: Infinity, firstDelayMs: 1_000, maxDelayMs: 30_000 };
/** A child that ran for so long did start: the next restart is the first again. */
const SETTLED_MS = 60_000;

/** A child process that is started again when it fails or is killed, ever more slowly, until it is stopped. */
export class SupervisedChild {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;

  constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  /** Its process while it runs. */
  get pid(): number | undefined {
    return this.#child && !hasEnded(this.#child) ? this.#child.pid : undefined;
  }

  /** Starts it; resolves with whether it became ready. One that did not is not started again. */
  start(): Promise<boolean> {
    return this.#start(0);
  }

  /** Starts it, and again where it does not become ready; resolves with whether it did the first time. */
  async startAlways(): Promise<boolean> {
    const isReady = await this.#start(0);
    if (!isReady) void this.#startAgain(1);
    return isReady;
  }

  /** Ends it, and starts it no more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const ended = once(child, 'exit');
    const { askToEnd = (each) => each.kill('SIGTERM') } = this.#options;
    askToEnd(child);
    const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(hard);
  }

  async #start(failures: number): Promise<boolean> {
    const begunMs = systemClock.monotonic();
    const child = (this.#child = this.#launch());
    if (!child) return false;
    const ended = new Promise<false>((resolve) => {
      child.once('exit', () => resolve(false));
      // Where no process came to be, nothing exits.
      child.on('error', () => child.pid === undefined && resolve(false));
    });
    const ready = new Promise<true>((resolve) => child.once('message', () => resolve(true)));
    const isReady = await Promise.race([ready, ended]);
    if (!isReady) return false;
    void ended.then(() => {
      const hasSettled = systemClock.monotonic() - begunMs > SETTLED_MS;
      return this.#startAgain(hasSettled ? 1 : failures + 1);
    });
    return true;
  }

  /** The child; undefined where the system lets none begin just now, as without memory for it. */
  #launch(): ChildProcess | undefined {
    const { name, log, launch } = this.#options;
    try {
      return launch();
    } catch (err) {
      log.error({ err }, `the ${name} could not be started`);
      return undefined;
    }
  }

  async #startAgain(firstFailures: number): Promise<void> {
    const { signal } = this.#stopping;
    const { name, log, isDone } = this.#options;
    for (let failures = firstFailures; ; failures++) {
      const child = this.#child;
      const how = child && { code: child.exitCode, signal: child.signalCode };
      if (signal.aborted || (child && isDone(child))) return log.info({ ...how }, `the ${name} has ended`);
      if (how) log.error(how, `the ${name} ended unexpectedly; starting it again`);
      const delayMs = retryDelayMs(RESTART, Math.min(failures, 10), 1);
      await systemClock.sleep(delayMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (await this.#start(failures)) return log.info({ failures }, `the ${name} runs again`);
    }
  }
}

function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}
