/** An agent whose folder holds commits that its server never saw, since its disk was set back meanwhile. */
import assert from 'node:assert/strict';
import { cpSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { folderPlace, prepareFolder } from '../destinations/folder-place.ts';
import { TestAgent } from '../testing.ts';

function setAway(folder: string, isAway: boolean): void {
  if (isAway) renameSync(folder, `${folder} away`);
  else renameSync(`${folder} away`, folder);
}

/** The agent, a server that is a folder, and the folder. */
export class BranchScene {
  readonly agent: TestAgent;
  readonly server: string;
  folder = '';
  isServerAway = false;
  /** After so many fragments the connection to the server breaks: before one arrives, or before its answer does. */
  cut: { left: number; readonly isAnswerLost: boolean } | undefined;

  private constructor(t: TestContext, more: ConstructorParameters<typeof TestAgent>[0] = {}) {
    this.agent = new TestAgent({
      ...more,
      makePlace: (config) => {
        const folder = this.server;
        const place = folderPlace({ ...config, folder });
        return {
          config,
          open: async (facts) => {
            if (this.isServerAway) throw destinationErrors.away({ folder });
            await prepareFolder(folder, facts.archiveId);
            return this.#breakable(await place.open(facts));
          },
        };
      },
    });
    t.after(() => this.agent.remove());
    this.server = path.join(this.agent.folder, 'server');
  }

  /** With one backup at both. */
  static async start(t: TestContext, more: ConstructorParameters<typeof TestAgent>[0] = {}): Promise<BranchScene> {
    const scene = new BranchScene(t, more);
    mkdirSync(scene.server);
    scene.agent.addServer();
    scene.agent.write('shared', 'before');
    await scene.agent.start();
    scene.folder = await scene.agent.addDestination('folder');
    await scene.backUp();
    return scene;
  }

  async backUp(): Promise<void> {
    await this.agent.ask('backup');
  }

  #breakable(session: DestinationSession): DestinationSession {
    const append = session.append.bind(session);
    return Object.assign(session, {
      append: async (fragment: Uint8Array) => {
        const isCut = this.cut !== undefined && this.cut.left-- <= 0;
        if (!isCut || this.cut?.isAnswerLost) await append(fragment);
        if (isCut) throw destinationErrors.interrupted({ destination: session.name });
      },
    });
  }

  setFolderAway(isAway: boolean): void {
    setAway(this.folder, isAway);
  }

  #setServerAway(isAway: boolean): void {
    this.isServerAway = isAway;
    setAway(this.server, isAway);
  }

  #copyState(from: string, to: string): void {
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true, preserveTimestamps: true, filter: (name) => !lstatSync(name).isSocket() });
  }

  /**
   * Makes the branch: one more backup at both, those of `onlyThere` at the folder alone, then the state of before all of it,
   * and those of `meanwhile` at the server alone. The folder is there again afterwards.
   */
  async part(onlyThere: readonly (() => void)[], meanwhile: readonly (() => void)[]): Promise<void> {
    const { agent } = this;
    const { stateDir } = agent.options;
    const image = path.join(agent.folder, 'image');
    await agent.stop();
    this.#copyState(stateDir, image);
    await agent.start();
    agent.write('both have', 'this');
    await this.backUp();
    this.#setServerAway(true);
    for (const change of onlyThere) {
      change();
      await this.backUp();
    }
    await agent.stop();
    this.#copyState(image, stateDir);
    this.#setServerAway(false);
    this.setFolderAway(true);
    await agent.start();
    for (const change of meanwhile) {
      change();
      await this.backUp();
    }
    this.setFolderAway(false);
  }
}

/** The contents a file has had, oldest version first. */
export async function contentsOf({ agent }: BranchScene, name: string): Promise<string[]> {
  const file = path.join(agent.tree, name);
  const { versions } = (await agent.ask('versions', { path: file })) as unknown as { versions: { from: string }[] };
  const contents: string[] = [];
  for (const [place, { from }] of versions.entries()) {
    const to = path.join(agent.folder, `version ${place} of ${path.basename(name)} ${Date.now()}`);
    const report = await agent.ask('restore', { paths: [file], to, at: from });
    assert.deepEqual([report['failed'], report['problems']], [[], []]);
    contents.push(readFileSync(path.join(to, path.basename(name)), 'latin1'));
  }
  return contents;
}
