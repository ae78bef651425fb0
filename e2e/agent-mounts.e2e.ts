import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { listed, statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
/** The agent looks at the list of mounts every so often, and then at the files. */
const patienceMs = 120_000;

/** An agent in a mount namespace of its own: what is mounted there is gone with it. */
class NamespacedAgent extends RunningAgentProcess {
  override async start(): Promise<void> {
    const run = [process.execPath, launcher, 'agent', 'run', '--protect', this.tree];
    const child = spawn('unshare', ['--mount', '--propagation', 'private', ...run], {
      cwd: this.folder,
      env: { ...process.env, HOLDFAST_HOME: path.join(this.folder, 'home') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child = child;
    child.stderr.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
    await until(() => this.log.includes('the agent is running') || child.exitCode !== null, 'the agent');
    if (child.exitCode !== null) throw new Error(this.log);
  }

  /** Runs a program in the agent's namespace. */
  inside(...command: readonly string[]): void {
    const { status, stderr } = spawnSync('nsenter', ['--mount', '--target', String(this.child!.pid), ...command], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${command.join(' ')}: ${stderr}`);
  }

  /** A path of the agent's namespace, as this process reaches it. */
  seen(file: string): string {
    return path.join('/proc', String(this.child!.pid), 'root', file);
  }
}

/** What can be mounted: a file system of its own, and a folder of another. */
const disks: Readonly<Record<string, (agent: NamespacedAgent) => (mountPoint: string) => void>> = {
  'a disk': (agent) => {
    const image = path.join(agent.folder, 'disk.img');
    writeFileSync(image, '');
    truncateSync(image, 64 * 1024 * 1024);
    const made = spawnSync('mkfs.ext4', ['-q', '-F', image], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return (mountPoint) => agent.inside('mount', '-o', 'loop', image, mountPoint);
  },
  'a bound folder': (agent) => {
    const folder = path.join(agent.folder, 'elsewhere');
    mkdirSync(folder);
    return (mountPoint) => agent.inside('mount', '--bind', folder, mountPoint);
  },
};

const isRoot = process.getuid?.() === 0;
const canUnshare = isRoot && spawnSync('unshare', ['--mount', '--propagation', 'private', 'true']).status === 0;
const canLoop =
  canUnshare &&
  spawnSync('unshare', ['--mount', 'sh', '-c', 'losetup --find && command -v mkfs.ext4'], { stdio: 'ignore' })
    .status === 0;
const skipFor = (disk: string) =>
  (!isRoot && 'needs root') ||
  (!canUnshare && 'mount namespaces are refused here') ||
  (disk === 'a disk' && !canLoop && 'there are no loop devices here');

async function protectedAgent(t: TestContext): Promise<NamespacedAgent> {
  const agent = new NamespacedAgent(t);
  agent.write('kept', 'on the disk of the system');
  await agent.start();
  agent.addDestination();
  await untilStanding(agent, 'protected');
  return agent;
}

for (const [disk, prepare] of Object.entries(disks)) {
  const skip = skipFor(disk);

  test(`${disk} that is a set of its own comes and goes: its files stay, and status says so`, { skip }, async (t) => {
    const agent = await protectedAgent(t);
    const mount = prepare(agent);
    const mountPoint = path.join(agent.folder, 'usb');
    const photo = path.join(mountPoint, 'photos/one');
    mkdirSync(mountPoint);
    mount(mountPoint);
    mkdirSync(path.dirname(agent.seen(photo)));
    writeFileSync(agent.seen(photo), 'a photo');
    assert.equal(agent.run('set', 'add', 'usb', mountPoint).status, 0);
    await untilStanding(agent, 'protected');
    assert.deepEqual(await listed(agent, photo), [photo]);

    for (let round = 1; round <= 2; round++) {
      agent.inside('umount', mountPoint);
      const usb = async () => (await statusOf(agent)).standings.find(({ set }) => set === 'usb');
      await until(async () => (await usb())?.state === 'incomplete', 'status to say that it is away', patienceMs);
      assert.match((await usb())!.remedy!, /connect its disk/);
      assert.deepEqual(
        (await statusOf(agent)).missing.map((each) => each.path),
        [mountPoint],
      );
      assert.equal(agent.run('backup').status, 8, 'a backup by hand says so, too');
      assert.deepEqual(await listed(agent, photo), [photo], 'nothing is taken for deleted');
      assert.equal((agent.run('versions', photo).value['versions'] as unknown[]).length, 1);
      // The rest goes on.
      const other = agent.write(`meanwhile ${round}`, '2');
      await until(async () => (await listed(agent, other)) !== undefined, 'what changes elsewhere', patienceMs);

      mount(mountPoint);
      const added = path.join(mountPoint, `added ${round}`);
      writeFileSync(agent.seen(added), 'another');
      await until(async () => (await listed(agent, added)) !== undefined, 'what is new on the disk', patienceMs);
      const { missing } = await untilStanding(agent, 'protected', patienceMs);
      assert.deepEqual(missing, []);
      // It is watched again.
      const closed = path.join(mountPoint, `closed ${round}`);
      writeFileSync(agent.seen(closed), 'by itself');
      await until(async () => (await listed(agent, closed)) !== undefined, 'what is written later', 30_000);
    }
    assert.equal((agent.run('versions', photo).value['versions'] as unknown[]).length, 1, 'it was never gone');
  });

  test(
    `${disk} mounted inside a protected folder comes and goes, and nothing is taken for deleted`,
    { skip },
    async (t) => {
      const agent = await protectedAgent(t);
      const mount = prepare(agent);
      const mountPoint = path.join(agent.tree, 'mnt');
      const file = path.join(mountPoint, 'deep/file');
      mkdirSync(mountPoint);
      mount(mountPoint);
      mkdirSync(path.dirname(agent.seen(file)));
      writeFileSync(agent.seen(file), 'content');
      await until(async () => (await listed(agent, file)) !== undefined, 'the disk that came', patienceMs);
      await untilStanding(agent, 'protected');
      agent.inside('umount', mountPoint);
      const away = async () => (await statusOf(agent)).missing.map(({ path: each, reason }) => [each, reason]);
      await until(async () => (await away()).length > 0, 'status to say that it is away', patienceMs);
      assert.deepEqual(await away(), [[mountPoint, 'unmounted']]);
      const { standings } = await untilStanding(agent, 'protected');
      assert.match(standings[0]!.reason, /not connected/);
      assert.equal(agent.run('backup').status, 0);
      assert.deepEqual(await listed(agent, file), [file]);
      assert.ok((await listed(agent, mountPoint))?.includes(path.dirname(file)));
      const to = path.join(agent.folder, 'restored');
      assert.equal(agent.run('restore', agent.tree, '--to', to).value['failedCount'], 0);
      assert.equal(spawnSync('cat', [path.join(to, 'tree/mnt/deep/file')]).stdout.toString(), 'content');
      mount(mountPoint);
      await until(async () => (await away()).length === 0, 'status to say that it is back', patienceMs);
      assert.equal((agent.run('versions', file).value['versions'] as unknown[]).length, 1, 'it was never gone');
    },
  );
}

test('a set on a folder that is deleted or renamed away keeps its files, and goes on when it is back', async (t) => {
  const agent = new RunningAgentProcess(t);
  const [away, file] = [`${agent.tree} away`, agent.write('deep/file', 'content')];
  await agent.start();
  agent.addDestination();
  await untilStanding(agent, 'protected');
  const isKept = async () => {
    const { missing } = await untilStanding(agent, 'incomplete', patienceMs);
    assert.deepEqual(
      missing.map(({ path: each, reason }) => [each, reason]),
      [[agent.tree, 'missing']],
    );
    assert.equal(agent.run('backup').status, 8);
    assert.deepEqual(await listed(agent, file), [file]);
  };
  renameSync(agent.tree, away);
  await isKept();
  renameSync(away, agent.tree);
  await untilStanding(agent, 'protected', patienceMs);
  assert.equal((agent.run('versions', file).value['versions'] as unknown[]).length, 1, 'it was never gone');
  rmSync(agent.tree, { recursive: true });
  await isKept();
  const restored = agent.run('restore', agent.tree);
  assert.equal(restored.status, 0, restored.stderr);
  await untilStanding(agent, 'protected', patienceMs);
  agent.write('new', 'new');
  await until(async () => (await listed(agent, path.join(agent.tree, 'new'))) !== undefined, 'a new file', patienceMs);
});
