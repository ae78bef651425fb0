import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock, systemRandom } from '@holdfast/base';
import { withNewWriter, writersOf } from '../keys/archive-keyring.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { TestAgent } from '../testing.ts';
import { destinationErrors } from './errors.ts';
import { folderPlace, prepareFolder } from './folder-place.ts';

const ports = { clock: systemClock, random: systemRandom };
const { signal } = new AbortController();

/** An agent with a folder, or two; and, where wanted, with a server, which takes introduced writers only. */
class Scene {
  readonly agent: TestAgent;
  readonly server: string;
  isServerAway = false;
  readonly folders: string[] = [];

  constructor(t: TestContext) {
    this.agent = new TestAgent({
      makePlace: (config) => ({
        config,
        open: async (facts) => {
          if (this.isServerAway) throw destinationErrors.away({ folder: this.server });
          await prepareFolder(this.server, facts.archiveId);
          const session = await folderPlace({ ...config, folder: this.server }).open(facts);
          return Object.assign(session, { requiresIntroduction: true });
        },
      }),
    });
    t.after(() => this.agent.remove());
    this.server = path.join(this.agent.folder, 'server');
  }

  /** After a first backup another life of the device sends the first folder a keyring, and no commit. */
  static async start(t: TestContext, options: { readonly folders: number; readonly withServer: boolean }) {
    const scene = new Scene(t);
    const { agent } = scene;
    const { stateDir } = agent.options;
    mkdirSync(stateDir, { mode: 0o700 });
    if (options.withServer) {
      mkdirSync(scene.server);
      const database = new AgentDatabase(path.join(stateDir, 'agent.db'));
      database.addDestination({ kind: 'cloud', name: 'server' });
      database.close();
    }
    agent.write('first', 'first');
    await agent.start();
    for (let i = 0; i < options.folders; i++) scene.folders.push(await agent.addDestination(`folder ${i}`));
    await agent.ask('backup');
    await agent.untilProtected();
    await agent.stop();
    await scene.#sendForeignKeyring(scene.folders[0]!);
    return scene;
  }

  async #sendForeignKeyring(folder: string): Promise<void> {
    await this.agent.withArchive(async ({ archiveId, stored, index }) => {
      const headNumber = index.head().number;
      const foreign = withNewWriter(stored, { headNumber, origin: 'state_lost' }, ports);
      const place = folderPlace({ destinationId: 1, name: folder, kind: 'folder', folder });
      const session = await place.open({ archiveId, known: undefined, keyRecords: [], ...ports, signal });
      await session.append(foreign.keyRecords.at(-1)!);
      await session.close();
    });
  }

  /** This device's writer number, and those that its keyring lists. */
  async writers(): Promise<readonly [number, readonly number[]]> {
    return this.agent.withArchive(async ({ stored }) => [
      stored.keys.writerNumber,
      writersOf(stored).map(({ number }) => number),
    ]);
  }

  async expectStates(expected: Readonly<Record<string, string>>): Promise<void> {
    const { agent } = this;
    const states = async () => {
      const standings = await agent.standings();
      return Object.fromEntries(
        Object.keys(expected).map((name) => [name, standings.find((each) => each.destination === name)?.state]),
      );
    };
    const isReached = async () => JSON.stringify(await states()) === JSON.stringify(expected);
    await agent.until(isReached, `the states are ${JSON.stringify(expected)}`);
  }

  /** Backs up something new, and again after the agent was stopped. */
  async goOn(name: string, expected: Readonly<Record<string, string>>): Promise<void> {
    const { agent } = this;
    for (const round of [1, 2]) {
      await agent.start();
      agent.write(`${name} ${round}`, name);
      await agent.ask('backup').catch(() => undefined);
      await this.expectStates(expected);
      await agent.stop();
    }
  }
}

test('a keyring that another life left at a folder alone is gone on after, by the next writer, at every folder', async (t) => {
  const scene = await Scene.start(t, { folders: 2, withServer: false });
  const [first, second] = scene.folders;
  await scene.goOn('later', { [first!]: 'protected', [second!]: 'protected' });
  assert.deepEqual(await scene.writers(), [2, [0, 1, 2]]);
  await scene.agent.start();
  for (const name of ['first', 'later 1', 'later 2']) {
    assert.ok(await scene.agent.has(path.join(scene.agent.tree, name)), name);
  }
});

test('a keyring that another life left at a folder stops that folder alone, where a server takes introduced writers', async (t) => {
  const scene = await Scene.start(t, { folders: 2, withServer: true });
  const [first, second] = scene.folders;
  await scene.goOn('later', { server: 'protected', [first!]: 'failed', [second!]: 'protected' });
  assert.deepEqual(await scene.writers(), [1, [0, 1]]);
  assert.ok(readdirSync(scene.server).length > 0);
});

test('a folder with a keyring of another life waits for a server that is away', async (t) => {
  const scene = await Scene.start(t, { folders: 1, withServer: true });
  const [folder] = scene.folders;
  scene.isServerAway = true;
  await scene.goOn('later', { server: 'behind', [folder!]: 'behind' });
  assert.deepEqual(await scene.writers(), [0, [0]]);
  scene.isServerAway = false;
  await scene.goOn('last', { server: 'protected', [folder!]: 'failed' });
  assert.deepEqual(await scene.writers(), [1, [0, 1]]);
});
