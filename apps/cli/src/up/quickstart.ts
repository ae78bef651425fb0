import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/**
 * What `up` hands out when everything is ready: `HOLDFAST_HOME/quickstart.json`, mode 0600.
 *
 * It exists exactly while everything is ready; when `up` has stopped, its content waits in `quickstart.stopped.json`.
 */
export const Quickstart = z.object({
  url: z.url(),
  caFile: z.string().optional(),
  tenantUid: z.string().optional(),
  adminUsername: z.string().optional(),
  adminPassword: z.string().optional(),
  apiClientId: z.string().optional(),
  apiClientSecret: z.string().optional(),
  /** Control socket of the agent; absent without one. */
  agentSocket: z.string().optional(),
  /** Folder the agent protects; absent without one. */
  protectedPath: z.string().optional(),
});
export type Quickstart = z.infer<typeof Quickstart>;

/** Where it lies. */
export const quickstartFile = (homeDir: string): string => path.join(homeDir, 'quickstart.json');
const stoppedFile = (homeDir: string) => path.join(homeDir, 'quickstart.stopped.json');

/** What a running `up` handed out; undefined while none is ready. */
export function readQuickstart(homeDir: string): Promise<Quickstart | undefined> {
  return readFileOf(quickstartFile(homeDir));
}

/** What a running `up` handed out, else one that has stopped. */
export async function lastQuickstart(homeDir: string): Promise<Quickstart | undefined> {
  return (await readQuickstart(homeDir)) ?? readFileOf(stoppedFile(homeDir));
}

/** Takes the file away, because nothing is ready any more; returns what it or its predecessor said. */
export async function withdrawQuickstart(homeDir: string): Promise<Quickstart | undefined> {
  await rename(quickstartFile(homeDir), stoppedFile(homeDir)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  return readFileOf(stoppedFile(homeDir));
}

/** Says to everybody that everything is ready. */
export async function publishQuickstart(homeDir: string, quickstart: Quickstart): Promise<void> {
  await writeWhole(quickstartFile(homeDir), quickstart);
  await rm(stoppedFile(homeDir), { force: true });
}

/** Puts aside what will be handed out, for the next start in case this one fails. */
export async function keepQuickstart(homeDir: string, quickstart: Quickstart): Promise<void> {
  await writeWhole(stoppedFile(homeDir), quickstart);
}

/** Readable by its owner alone; readers see the whole of it or nothing. */
async function writeWhole(file: string, quickstart: Quickstart): Promise<void> {
  const partial = `${file}.${process.pid}`;
  await rm(partial, { force: true });
  const handle = await open(partial, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(quickstart, undefined, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

async function readFileOf(file: string): Promise<Quickstart | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return Quickstart.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
