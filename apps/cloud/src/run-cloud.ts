import { once } from 'node:events';
import { startCloud } from './app.ts';
import { readCloudConfig, type CloudConfig } from './config.ts';
import { createLog } from './platform/log.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves with the first signal that asks to stop; later ones change nothing, the stop has a deadline anyway. */
export async function untilStopSignal(): Promise<NodeJS.Signals> {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort(signal));
  await once(stop.signal, 'abort');
  return stop.signal.reason as NodeJS.Signals;
}

/** Runs a server until a signal asks it to stop; its log goes to standard output. */
export async function runCloud(config: CloudConfig = readCloudConfig()): Promise<void> {
  const stopSignal = untilStopSignal();
  const log = createLog({ level: config.logLevel });
  const cloud = await startCloud(config, { log });
  log.info({ signal: await stopSignal }, 'stopping');
  await cloud.stop();
}
