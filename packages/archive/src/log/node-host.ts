import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { systemErrorCode } from './disk.ts';
import type { LockHost } from './folder-lock.ts';

/** This machine and this process. */
export async function readLockHost(): Promise<LockHost> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return { hostName: hostname(), bootId: bootId.trim(), pid: process.pid, processMark };
}

/** On Linux the time at which the process started, so that a number used again is not taken for its first bearer. */
async function processMark(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may hold anything; the start time is the 20th value behind it.
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  if (process.platform === 'linux') return undefined;
  try {
    process.kill(pid, 0);
    return 'running';
  } catch (error) {
    return systemErrorCode(error) === 'EPERM' ? 'running' : undefined;
  }
}
