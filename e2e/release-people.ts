/** Persons with keys of their own, as the command line makes them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');

/** A person's key file, and what its card says. */
export type Person = {
  readonly name: string;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly userUid: string;
};

/** Runs a command with `--json` where it needs no agent; `value` is its result, or its error. */
export async function command(homeDir: string, args: readonly string[]) {
  const env = { ...process.env, HOLDFAST_HOME: homeDir, HOLDFAST_SOCKET: '/nowhere' };
  const child = spawn(process.execPath, [launcher, ...args, '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout = '', stderr = ''] = await Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (await stream.toArray()).join('')),
  );
  const status = await ended;
  const last = (status === 0 ? stdout : stderr).trim().split('\n').at(-1) ?? '';
  return { status, text: stdout + stderr, value: JSON.parse(last || '{}') as Record<string, never> };
}

/** The same, which has to succeed. */
export async function done(homeDir: string, args: readonly string[]): Promise<Record<string, never>> {
  const { status, text, value } = await command(homeDir, args);
  assert.equal(status, 0, `${args.join(' ')}: ${text}`);
  return value;
}

/** Makes a person's key and has the operator register it. */
export async function makePerson(
  { homeDir, folder }: { readonly homeDir: string; readonly folder: string },
  { tenant, name, approver = false }: { readonly tenant: string; readonly name: string; readonly approver?: boolean },
): Promise<Person> {
  const keyFile = path.join(folder, `${tenant} ${name}`);
  const { publicKey } = await done(homeDir, ['key', 'person', 'new', keyFile]);
  const about = ['--tenant', tenant, '--user', name, '--public-key', publicKey!, '--card', `${keyFile} card`];
  await done(homeDir, ['cloud', 'person', 'add', ...about, ...(approver ? ['--approver'] : [])]);
  await done(homeDir, ['key', 'person', 'accept', keyFile, `${keyFile} card`]);
  const { userUid } = JSON.parse(readFileSync(`${keyFile} card`, 'utf8')) as { userUid: string };
  return { name, keyFile, publicKey: publicKey!, userUid };
}
