import { once } from 'node:events';
import { startCloud } from './app.ts';
import { readCloudConfig, type CloudConfig } from './config.ts';
import { createLog } from './platform/log.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Why a program ends: somebody asked, or it met a fault nobody caught. */
export type StopReason = { readonly signal: NodeJS.Signals } | { readonly fault: unknown };

/** Waits for a reason to stop. `reason` is set from the moment there is one. */
export type StopWatch = { readonly reason: StopReason | undefined; readonly stopped: Promise<StopReason> };

/**
 * Watches for signals that ask to stop, and for faults that would end the process before its children.
 * Only the first counts: stopping has a deadline of its own, a second Ctrl-C changes nothing.
 */
export function watchForStop(): StopWatch {
  const stop = new AbortController();
  const reasonOf = () => stop.signal.reason as StopReason;
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort({ signal }));
  process.on('uncaughtException', (fault) => stop.abort({ fault }));
  return {
    get reason() {
      return stop.signal.aborted ? reasonOf() : undefined;
    },
    stopped: once(stop.signal, 'abort').then(reasonOf),
  };
}

/** Runs a server until it is asked to stop; its log goes to standard output. A fault is thrown once it has stopped. */
export async function runCloud(config: CloudConfig = readCloudConfig()): Promise<void> {
  const watch = watchForStop();
  const log = createLog({ level: config.logLevel });
  const cloud = await startCloud(config, { log });
  const reason = await watch.stopped;
  if ('fault' in reason) log.error({ err: reason.fault }, 'stopping after a fault');
  else log.info({ signal: reason.signal }, 'stopping');
  await cloud.stop();
  if ('fault' in reason) throw reason.fault;
}
