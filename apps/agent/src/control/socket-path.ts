import { closeSync, openSync } from 'node:fs';
import path from 'node:path';

const mostPathBytes = 100;

/**
 * Runs `work` with a path by which a socket can be bound or reached: a longer one goes through its folder's descriptor,
 * which is open meanwhile.
 */
export async function withSocketPath<T>(socketPath: string, work: (reachable: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(socketPath) <= mostPathBytes) return work(socketPath);
  const fd = openSync(path.dirname(socketPath), 'r');
  try {
    return await work(`/proc/self/fd/${fd}/${path.basename(socketPath)}`);
  } finally {
    closeSync(fd);
  }
}
