/** The command line against an agent, as a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { newFolder } from './running-cloud.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');

/** Runs a command against an agent to its end. */
export async function holdfast(socketPath: string, args: readonly string[], input = '') {
  return runHoldfast({ HOLDFAST_SOCKET: socketPath }, args, input);
}

/** Runs a command with some variables more to its end. */
export async function runHoldfast(more: Readonly<Record<string, string>>, args: readonly string[], input = '') {
  const env = { ...process.env, ...more };
  const child = spawn(process.execPath, [launcher, ...args], { env, stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout = '', stderr = ''] = await Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (await stream.toArray()).join('')),
  );
  return { status: await ended, stdout, stderr };
}

/** Runs a command with `--json`; `value` is its result, or its error. */
export async function holdfastJson(socketPath: string, args: readonly string[], input = '') {
  const { status, stdout, stderr } = await holdfast(socketPath, [...args, '--json'], input);
  const last = (status === 0 ? stdout : stderr).trim().split('\n').at(-1) ?? '';
  return { status, text: stdout + stderr, value: JSON.parse(last || '{}') as Record<string, never> };
}

/** Names of the files that `recover` gives back, with a secret on its standard input or in a file. */
export async function recovered(
  t: TestContext,
  { folder }: { readonly folder: string },
  args: readonly string[],
  input?: string,
) {
  const out = path.join(newFolder(t), 'out');
  const { status, text } = await holdfastJson('/nowhere', ['recover', folder, '--to', out, ...args], input);
  const names = existsSync(out) ? readdirSync(out, { recursive: true, encoding: 'utf8' }) : [];
  return {
    status,
    text,
    names: names
      .filter((name) => statSync(path.join(out, name)).isFile())
      .map((name) => path.basename(name))
      .toSorted(),
  };
}
