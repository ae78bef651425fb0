/** Our own server beside a measurement: a process of its own, so that its work and memory are not counted as the agent's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** A server that runs: gives invitations, each for one device. */
export type MeasuredServer = { readonly invite: () => Promise<string>; readonly stop: () => Promise<void> };

/** Starts one in a folder that it makes. */
export async function startServer(folder: string): Promise<MeasuredServer> {
  mkdirSync(folder);
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'cloud.ts'), folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const invite = async () => {
    child.stdin.write('\n');
    const { value, done } = await lines.next();
    if (done) throw new Error('the server ended');
    return value;
  };
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return { invite, stop };
}
