import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards, nodeOf } from '@holdfast/testing';
import type { EnrollmentToken } from '@holdfast/contract';
import { until } from './process-tree.ts';

const rootDir = path.resolve(import.meta.dirname, '..');

/** What a command ended with; `value` is its JSON result, or its JSON error. */
export type Ended = {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly value: Readonly<Record<string, unknown>>;
};

/** A real agent process of its own folder, and the commands that speak to it. */
export class RunningAgentProcess {
  readonly folder: string;
  readonly tree: string;
  readonly socketPath: string;
  readonly stateDir: string;
  /** Node and the program. */
  readonly #launcher: readonly [string, string];
  child: ChildProcess | undefined;
  log = '';

  /** `productDir`: the checkout that is run, where it is not this one; `tree`: a folder of another computer to protect. */
  constructor(t: TestContext, { productDir = rootDir, tree }: { productDir?: string; tree?: string } = {}) {
    this.#launcher = [nodeOf(productDir), path.join(productDir, 'apps/cli/bin/holdfast.mjs')];
    this.folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast agent ')));
    chmodSync(this.folder, 0o755);
    this.tree = tree ?? path.join(this.folder, 'tree');
    mkdirSync(this.tree, { recursive: true });
    this.stateDir = path.join(this.folder, 'home', 'agent');
    this.socketPath = path.join(this.stateDir, 'agent.sock');
    afterwards(t, async () => {
      await this.kill();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** Starts the agent; resolves when it answers. */
  async start(args: readonly string[] = []): Promise<void> {
    const [node, program] = this.#launcher;
    const child = spawn(node, [program, 'agent', 'run', '--protect', this.tree, ...args], {
      cwd: this.folder,
      env: { ...process.env, HOLDFAST_HOME: path.join(this.folder, 'home') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child = child;
    child.stderr.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
    const from = this.log.length;
    await until(() => this.log.slice(from).includes('the agent is running') || child.exitCode !== null, 'the agent');
    if (child.exitCode !== null) throw new Error(this.log);
  }

  /** As `kill -9` does; resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Runs a command with `--json` to its end. */
  run(...args: readonly string[]): Ended {
    return this.runWith({}, ...args);
  }

  runWith(
    options: { readonly input?: string; readonly uid?: number; readonly timeoutMs?: number },
    ...args: readonly string[]
  ): Ended {
    const { input, uid, timeoutMs = 120_000 } = options;
    const command = [...this.#launcher, ...args, '--json'];
    const asUser = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const [file, ...words] = [...asUser, ...command];
    const { status, stdout, stderr } = spawnSync(file!, words, {
      cwd: this.folder,
      env: { ...process.env, HOLDFAST_HOME: path.join(this.folder, 'home') },
      encoding: 'utf8',
      timeout: timeoutMs,
      ...(input !== undefined && { input }),
    });
    const last = (status === 0 ? stdout : stderr).trim().split('\n').at(-1) ?? '';
    return { status, stdout, stderr, value: parse(last) };
  }

  write(name: string, content: string | Uint8Array): string {
    const file = path.join(this.tree, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  /** Enrols with the server of an invitation, before the first start. */
  enroll(token: EnrollmentToken): void {
    const input = JSON.stringify(token);
    const { status, stderr } = this.runWith({ input }, 'agent', 'enroll', token.url, '--token-file', '-');
    if (status !== 0) throw new Error(stderr);
  }

  addDestination(name = 'destination'): string {
    const folder = path.join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    const { status, stderr } = this.run('destination', 'add', folder);
    if (status !== 0) throw new Error(stderr);
    return folder;
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return { unparsed: text };
  }
}
