/**
 * Run as a child process: a server with a fault. Its first argument says which: `stuck` (a part that never ends), `kept`
 * (something keeps the process), `fault` (a fault nobody catches, at SIGUSR2). Its log goes to standard output.
 */
import { CodedError, exitCodeOf, systemClock } from '@holdfast/base';
import { readCloudConfig, runCloud } from '@holdfast/cloud';

const [which] = process.argv.slice(2);
// Work in the background sleeps long between its turns, and longer than it is asked to.
const stuckClock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) =>
    ms >= 60_000 ? new Promise<void>(() => undefined) : systemClock.sleep(ms, signal),
};
if (which === 'kept') setInterval(() => undefined, 1_000);
process.on('SIGUSR2', () => {
  throw new Error('a fault that nobody catches');
});
await runCloud(readCloudConfig(process.env), which === 'stuck' ? { clock: stuckClock } : {}).catch((error: unknown) => {
  process.exitCode = error instanceof CodedError ? exitCodeOf[error.kind] : 1;
});
