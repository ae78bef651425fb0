import { once } from 'node:events';
import { startCloud } from './app.ts';
import type { CloudEdges } from './assembly.ts';
import { readCloudConfig, type CloudConfig } from './config.ts';
import { createLog, type Log } from './platform/log.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Longest from the first reason to stop to the end of the process, whatever hangs: less than the 90 s that service managers
 * wait, and more than all parts of a server may take together.
 */
const END_MS = 85_000;
/** Once all has been ended, the process ends by itself within so much, or something was forgotten. */
const LINGER_MS = 3_000;

/** Why a program ends: somebody asked, or it met a fault nobody caught. */
export type StopReason = { readonly signal: NodeJS.Signals } | { readonly fault: unknown };

/** Waits for a reason to stop. `reason` is set from the moment there is one. */
export type StopWatch = {
  readonly reason: StopReason | undefined;
  readonly stopped: Promise<StopReason>;
  /** Says that all has been ended, and that nothing should keep the process any more. */
  expectEnd(log: Log): void;
};

/**
 * Watches for signals that ask to stop, and for faults that would end the process before its children.
 *
 * Only the first counts: a second Ctrl-C changes nothing. From then on the process has 85 s to end; if it does not, it is
 * ended with code 1, and standard error says what kept it. What it leaves behind the next start finds and ends.
 */
export function watchForStop(): StopWatch {
  const stop = new AbortController();
  const reasonOf = () => stop.signal.reason as StopReason;
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort({ signal }));
  process.on('uncaughtException', (fault) => stop.abort({ fault }));
  stop.signal.addEventListener('abort', () => endAfter(END_MS));
  return {
    get reason() {
      return stop.signal.aborted ? reasonOf() : undefined;
    },
    stopped: once(stop.signal, 'abort').then(reasonOf),
    expectEnd: (log) => endAfter(LINGER_MS, log),
  };
}

/** Ends the process if it has not ended by itself by then; the timer alone keeps nothing running. */
function endAfter(delayMs: number, log?: Log): void {
  const end = () => {
    const facts = { keptBy: [...new Set(process.getActiveResourcesInfo())] };
    const message = 'the process did not end by itself: it is ended now';
    // Neither may be writable; that must not keep the process either.
    process.stderr.on('error', () => undefined);
    process.stderr.write(`${JSON.stringify({ level: 'error', message, ...facts })}\n`);
    log?.error(facts, message);
    process.exit(Number(process.exitCode) || 1);
  };
  setTimeout(end, delayMs).unref();
}

/**
 * Runs a server until it is asked to stop; its log goes to standard output. A fault is thrown once it has stopped.
 *
 * @throws cloud.stop_incomplete, upon which the process ends soon, and what starting throws
 */
export async function runCloud(
  config: CloudConfig = readCloudConfig(),
  edges: Partial<CloudEdges> = {},
): Promise<void> {
  const watch = watchForStop();
  const { log = createLog({ level: config.logLevel }) } = edges;
  const cloud = await startCloud(config, { ...edges, log });
  try {
    const reason = await watch.stopped;
    if ('fault' in reason) log.error({ err: reason.fault }, 'stopping after a fault');
    else log.info({ signal: reason.signal }, 'stopping');
    if ('fault' in reason) throw reason.fault;
  } finally {
    // Whatever was thrown, by a log on a full disk too: without this the server would run on.
    await cloud.stop().finally(() => watch.expectEnd(log));
  }
}
