import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { askAgent } from '@holdfast/agent';
import { until } from './process-tree.ts';

/** Limits of a user namespace: they hold for what runs in it, and for nobody else. */
type Limits = { readonly watches?: number; readonly instances?: number };

const inNamespace = ['unshare', '--user', '--map-root-user', 'sh', '-c'];
const canLimit = (() => {
  const [file, ...args] = [...inNamespace, 'echo 10 > /proc/sys/user/max_inotify_watches'];
  return spawnSync(file, args).status === 0;
})();
const skip = !canLimit && 'needs user namespaces';
const coldIntervalMs = 15 * 60_000;
const commitIntervalMs = 15_000;

/** An agent with few watches, whose clock the test sets ahead, and a folder as its destination. */
async function startLimited(t: TestContext, folder: string, { watches = 1_000_000, instances = 1_000 }: Limits) {
  const [stateDir, tree] = [path.join(folder, 'state'), path.join(folder, 'tree')];
  mkdirSync(stateDir, { mode: 0o700 });
  const set = `cd /proc/sys/user && echo ${watches} > max_inotify_watches && echo ${instances} > max_inotify_instances`;
  const script = path.join(import.meta.dirname, 'adjustable-agent.ts');
  const [file, ...args] = [...inNamespace, `${set} && exec "$@"`, 'sh', process.execPath, script, stateDir, tree];
  const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  afterwards(t, async () => {
    if (child.connected) child.disconnect();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  await once(child, 'message');
  const ask = (request: string, more: Readonly<Record<string, unknown>> = {}) =>
    askAgent(path.join(stateDir, 'agent.sock'), { request, ...more });
  const destination = path.join(folder, 'destination');
  mkdirSync(destination);
  await ask('destination.add', { folder: destination });
  const isProtected = async () =>
    ((await ask('status'))['standings'] as { state: string }[]).every(({ state }) => state === 'protected');
  await until(isProtected, 'everything to be protected');
  return {
    ask,
    watching: async () => (await ask('status'))['watching'] as { directories: number; notWatched: number },
    has: (name: string) =>
      ask('ls', { path: path.join(tree, name) }).then(
        () => true,
        () => false,
      ),
    advance: (advanceMs: number) => child.send({ advanceMs }),
  };
}

/** A folder of folders: many that were changed years ago, and some that are in use. */
function makeFolders(counts: { readonly old: number; readonly used: number }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast watches '));
  const make = (name: string) => {
    mkdirSync(path.join(folder, 'tree', name), { recursive: true });
    writeFileSync(path.join(folder, 'tree', name, 'file'), name);
  };
  for (let number = 0; number < counts.old; number++) make(`old ${number}`);
  for (let number = 0; number < counts.used; number++) make(`used ${number}`);
  for (let number = 0; number < counts.old; number++)
    utimesSync(path.join(folder, 'tree', `old ${number}`), 1e9 + number, 1e9 + number);
  const write = (name: string) => writeFileSync(path.join(folder, 'tree', name), name);
  return { folder, write };
}

const aWhile = () => new Promise((resolve) => setTimeout(resolve, 3_000));

test(
  'out of watches, the folders in use keep theirs and the others are scanned every quarter of an hour',
  { skip },
  async (t) => {
    const { folder, write } = makeFolders({ old: 200, used: 60 });
    const agent = await startLimited(t, folder, { watches: 150 });
    const before = await agent.watching();
    assert.ok(before.directories <= 150 && before.directories + before.notWatched >= 261, JSON.stringify(before));
    write('old 0/later');
    await aWhile();
    assert.equal(await agent.has('old 0/later'), false, 'nothing watches the one that changed longest ago');
    agent.advance(coldIntervalMs);
    await until(() => agent.has('old 0/later'), 'what the scan finds');
    const after = await agent.watching();
    assert.ok(after.directories >= 120 && after.directories <= 150, JSON.stringify(after));
    for (const number of [0, 31, 59]) {
      write(`used ${number}/later`);
      agent.advance(commitIntervalMs);
      await until(() => agent.has(`used ${number}/later`), `what a watch tells of folder ${number}`);
    }
  },
);

test(
  'where the system gives no watches at all, everything is scanned every quarter of an hour',
  { skip },
  async (t) => {
    const { folder, write } = makeFolders({ old: 5, used: 5 });
    const agent = await startLimited(t, folder, { instances: 0 });
    const { directories, notWatched } = await agent.watching();
    assert.ok(directories === 0 && notWatched >= 11, `${directories} and ${notWatched}`);
    write('used 3/later');
    await aWhile();
    assert.equal(await agent.has('used 3/later'), false);
    agent.advance(coldIntervalMs);
    await until(() => agent.has('used 3/later'), 'what the scan finds');
  },
);
