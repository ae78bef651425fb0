import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import https from 'node:https';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards, nodeOf } from '@holdfast/testing';
import { processTree, stillRunning, until, type ProcessMark } from './process-tree.ts';

/** What `up` writes when everything is ready. */
export type Handout = Readonly<Record<string, string>> & { readonly url: string; readonly caFile: string };

/** How to start it. */
export type UpOptions = {
  /** Folder in which it is started; HOLDFAST_HOME is its `.holdfast`. */
  readonly cloneDir: string;
  /** `npm start` instead of the launcher itself. */
  readonly withNpm?: boolean;
  readonly args?: readonly string[];
  /** As which user; ours when left out. */
  readonly uid?: number;
};

/** A started `holdfast up`. */
export class RunningUp {
  readonly child: ChildProcess;
  readonly homeDir: string;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** When the file of an earlier run, killed before it could take it away, was written. */
  readonly #staleMs: number | undefined;
  readonly #seen: ProcessMark[] = [];
  stdout = '';
  stderr = '';

  constructor(options: UpOptions) {
    const { cloneDir, withNpm = false, args = [], uid } = options;
    this.homeDir = path.join(cloneDir, '.holdfast');
    this.#staleMs = writtenMs(this.homeDir);
    const [file, ...words] = withNpm
      ? ['npm', 'start', '--silent', '--', ...args]
      : [nodeOf(cloneDir), path.join(cloneDir, 'apps/cli/bin/holdfast.mjs'), 'up', ...args];
    this.child = spawn(file, words, {
      cwd: cloneDir,
      // As a terminal does: a process group of its own, which Ctrl-C reaches as a whole.
      detached: true,
      env: { ...cleanEnvironment(), HOME: cloneDir },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(uid !== undefined && { uid, gid: uid }),
    });
    this.child.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => resolve({ code, signal })));
  }

  /** Waits until everything is ready; returns what was handed out and how long it took. */
  async ready(timeoutMs = 60_000): Promise<{ handout: Handout; tookMs: number }> {
    const begun = performance.now();
    const file = path.join(this.homeDir, 'quickstart.json');
    const isNew = () => ![undefined, this.#staleMs].includes(writtenMs(this.homeDir));
    await until(() => isNew() || this.hasEnded(), 'quickstart.json', timeoutMs);
    if (this.hasEnded()) throw new Error(`it ended instead:\n${this.stdout}\n${this.stderr}`);
    this.processes();
    return { handout: JSON.parse(readFileSync(file, 'utf8')) as Handout, tookMs: performance.now() - begun };
  }

  hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Everything that runs because of it. */
  processes(): readonly ProcessMark[] {
    const found = processTree(this.child.pid!);
    this.#seen.push(...found);
    return found;
  }

  /** What runs because of it, and what of it outlived it. */
  leftovers(): readonly ProcessMark[] {
    this.processes();
    return stillRunning(this.#seen);
  }

  /** As Ctrl-C does. */
  interrupt(): void {
    process.kill(-this.child.pid!, 'SIGINT');
  }
}

function writtenMs(homeDir: string): number | undefined {
  return statSync(path.join(homeDir, 'quickstart.json'), { throwIfNoEntry: false })?.mtimeMs;
}

/** Starts `holdfast up`; whatever is left of it is killed after the test. */
export function startUp(t: TestContext, options: UpOptions): RunningUp {
  const up = new RunningUp(options);
  afterwards(t, async () => {
    for (const { pid } of up.leftovers()) kill(pid, 'SIGKILL');
    await until(() => up.leftovers().length === 0, 'the killed to end');
  });
  return up;
}

/** Sends a signal to a process that may have ended already. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Our own environment without settings of Holdfast and of the npm that may run us. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST_(?!TEST_RUN)|npm_|NODE_)/.test(name));
  const { PATH = '', ...rest } = Object.fromEntries(entries);
  // The user's shell has no node_modules/.bin of ours on its path.
  return {
    ...rest,
    PATH: PATH.split(':')
      .filter((folder) => !folder.includes('node_modules'))
      .join(':'),
  };
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Asks the server, trusting the CA it handed out and nothing else. */
export function ask(handout: Handout, route: string): Promise<{ status: number; body: string }> {
  return exchange(handout, { path: route });
}

/** Gets a token with the API client that was handed out. */
export function signIn(handout: Handout): Promise<{ status: number; body: string }> {
  const auth = `${handout['apiClientId']}:${handout['apiClientSecret']}`;
  return exchange(handout, { method: 'POST', path: '/v1/oauth?grant_type=client_credentials', auth });
}

async function exchange({ url, caFile }: Handout, options: https.RequestOptions) {
  const request = https.request(url, { ca: readFileSync(caFile), agent: false, ...options });
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (reply) => {
      let body = '';
      reply.on('data', (chunk: Buffer) => (body += chunk.toString()));
      reply.on('end', () => resolve({ status: reply.statusCode!, body }));
      reply.on('error', reject);
    });
    request.end();
  });
}
