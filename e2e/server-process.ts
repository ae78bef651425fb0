import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { createTenant, inviteDevices, operateCloud, readCloudConfig, silentLog, type Operator } from '@holdfast/cloud';
import type { EnrollmentToken } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { processTree, until } from './process-tree.ts';
import { newFolder } from './running-cloud.ts';
import { freePort } from './running-up.ts';

/** The tenant that a server is started with. */
const slug = 'home';

/** A server as a process of its own, which can be killed and started again. */
export class ServerProcess {
  readonly homeDir: string;
  readonly port: number;
  /** What it has written to its log in all its lives. */
  readonly logFile: string;
  readonly #logLevel: string;
  #child: ChildProcess | undefined;

  constructor(homeDir: string, port: number, { logLevel = 'info' } = {}) {
    this.homeDir = homeDir;
    this.port = port;
    this.logFile = path.join(path.dirname(homeDir), 'server.log');
    this.#logLevel = logLevel;
  }

  get env(): Record<string, string> {
    return {
      HOLDFAST_HOME: this.homeDir,
      HOLDFAST_LISTEN: `127.0.0.1:${this.port}`,
      HOLDFAST_LOG_LEVEL: this.#logLevel,
    };
  }

  /** Starts it; resolves when it answers. */
  async start(): Promise<void> {
    const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
    mkdirSync(path.dirname(this.logFile), { recursive: true });
    const log = openSync(this.logFile, 'a');
    const before = statSync(this.logFile).size;
    const child = spawn(process.execPath, [launcher, 'cloud', 'start'], {
      env: { PATH: process.env['PATH'] ?? '', ...this.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    const written = () => readFileSync(this.logFile).subarray(before).toString();
    await until(() => written().includes('"message":"ready"') || child.exitCode !== null, 'the server', 60_000);
    assert.equal(child.exitCode, null, written().slice(-2_000));
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** As `kill -9` does; resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child!;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Kills the postmaster, which the server starts again; false where none runs just now. */
  killDatabase(): boolean {
    const pid = this.#postmaster();
    if (pid === undefined) return false;
    process.kill(pid, 'SIGKILL');
    return true;
  }

  #postmaster(): number | undefined {
    const file = path.join(this.homeDir, 'postgres', 'data', 'postmaster.pid');
    const written = statSync(file, { throwIfNoEntry: false }) ? readFileSync(file, 'utf8') : '';
    const ours = processTree(this.#child!.pid!).map(({ pid }) => pid);
    const named = ours.find((pid) => pid === Number(written.split('\n')[0]));
    // In a namespace of its own it has another number there: then it is the one child of ours that runs PostgreSQL.
    return named ?? ours.find((each) => each !== this.#child!.pid && /postgres/.test(commandOf(each)));
  }

  /** Does an operator's work beside the running server. */
  operate<T>(work: (operator: Operator) => Promise<T>): Promise<T> {
    return operateCloud(readCloudConfig(this.env), { log: silentLog }, work);
  }

  /** An invitation for one device. */
  async invite(): Promise<EnrollmentToken> {
    const made = await this.operate((operator) => inviteDevices(operator, { slug, uses: 1, days: 1 }));
    return made.enrollmentToken;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Starts a server with a tenant, in a folder of its own that is gone after the test, or in the one given. */
export async function startServerProcess(
  t: TestContext,
  options: { readonly homeDir?: string; readonly logLevel?: string } = {},
): Promise<ServerProcess> {
  const server = new ServerProcess(options.homeDir ?? path.join(newFolder(t), 'home'), await freePort(), options);
  await server.start();
  afterwards(t, () => server.stop());
  await server.operate(({ bootstrap }) => createTenant(bootstrap, { slug, name: 'Home', adminUsername: 'admin' }));
  return server;
}
