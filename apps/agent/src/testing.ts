/** Agents in tests: one of their own state, socket and folder to protect, in this process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock, systemRandom } from '@holdfast/base';
import { type AgentOptions, type RunningAgent, startAgent } from './agent.ts';
import { DeviceArchive } from './archive/device-archive.ts';
import { askAgent, type Hearing } from './control/client.ts';
import { AgentDatabase } from './state/agent-database.ts';

type Standing = {
  readonly set: string;
  readonly destination?: string;
  readonly state: string;
  readonly reason: string;
};

/** An agent of its own, below the system's temporary folder. */
export class TestAgent {
  readonly folder: string;
  readonly tree: string;
  readonly options: AgentOptions;
  #running: RunningAgent | undefined;

  constructor(more: Partial<AgentOptions> = {}) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'holdfast agent '));
    this.tree = path.join(this.folder, 'tree');
    mkdirSync(this.tree);
    const stateDir = path.join(this.folder, 'state');
    const socketPath = path.join(this.folder, 'agent.sock');
    this.options = { stateDir, socketPath, socketMode: 0o600, protect: [this.tree], ...more };
  }

  async start(more: Partial<AgentOptions> = {}): Promise<RunningAgent> {
    this.#running = await startAgent({ ...this.options, ...more });
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  async remove(): Promise<void> {
    await this.stop().catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Makes a file below the protected folder. */
  write(name: string, content: string | Uint8Array): void {
    const file = path.join(this.tree, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  ask(request: string, more: Readonly<Record<string, unknown>> = {}, hearing: Hearing = {}) {
    return askAgent(this.options.socketPath, { request, ...more }, hearing);
  }

  /** The items of a request that lists. */
  async items(request: string, more: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>[]> {
    const items: Readonly<Record<string, unknown>>[] = [];
    await this.ask(request, more, { onItem: (item) => void items.push(item) });
    return items;
  }

  /** A new folder as a destination; returns its path. */
  async addDestination(name = 'destination'): Promise<string> {
    const folder = path.join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    await this.ask('destination.add', { folder });
    return folder;
  }

  /** Has the agent, which does not run, a cloud called `server`; where that is, says its `makePlace`. */
  addServer(): void {
    mkdirSync(this.options.stateDir, { mode: 0o700 });
    const database = new AgentDatabase(path.join(this.options.stateDir, 'agent.db'));
    database.addDestination({ kind: 'cloud', name: 'server' });
    database.close();
  }

  /** Runs `work` with the device's archive; the agent does not run. */
  async withArchive<T>(work: (archive: DeviceArchive) => Promise<T>): Promise<T> {
    const { stateDir } = this.options;
    const archive = DeviceArchive.open(stateDir, { clock: systemClock, random: systemRandom });
    try {
      return await work(archive);
    } finally {
      archive.close();
    }
  }

  async standings(): Promise<readonly Standing[]> {
    const { standings } = await this.ask('status');
    return standings as readonly Standing[];
  }

  /** Waits, at the edge of what runs by itself, until a condition holds. */
  async until(condition: () => Promise<boolean>, what: string, timeoutMs = 20_000): Promise<number> {
    const begun = performance.now();
    while (!(await condition())) {
      if (performance.now() - begun > timeoutMs) throw new Error(`in vain waited ${timeoutMs} ms until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return performance.now() - begun;
  }

  untilProtected(): Promise<number> {
    const isProtected = async () => (await this.standings()).every(({ state }) => state === 'protected');
    return this.until(isProtected, 'everything is protected');
  }

  /** How many versions a path has. */
  async versions(file: string): Promise<number> {
    const { versions } = await this.ask('versions', { path: file });
    return (versions as readonly unknown[]).length;
  }

  /** Whether a path is in the archive just now. */
  async has(file: string): Promise<boolean> {
    return this.ask('ls', { path: file }).then(
      () => true,
      () => false,
    );
  }
}
