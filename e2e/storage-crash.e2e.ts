import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CloudDestination, enroll, EnrollmentStore, CloudClient } from '@holdfast/agent/cloud';
import { inviteDevices, createTenant, operateCloud, readCloudConfig, silentLog } from '@holdfast/cloud';
import { CodedError } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { ExampleLog, joined, sha256Of } from './example-log.ts';
import { processTree, until } from './process-tree.ts';
import { aboutDevice, newFolder } from './running-cloud.ts';
import { createServer, type AddressInfo } from 'node:net';

/** A server as a process of its own, which can be killed and started again. */
class ServerProcess {
  readonly homeDir: string;
  readonly port: number;
  #child: ChildProcess | undefined;

  constructor(homeDir: string, port: number) {
    this.homeDir = homeDir;
    this.port = port;
  }

  get env(): Record<string, string> {
    return { HOLDFAST_HOME: this.homeDir, HOLDFAST_LISTEN: `127.0.0.1:${this.port}` };
  }

  async start(): Promise<void> {
    const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
    const child = spawn(process.execPath, [launcher, 'cloud', 'start'], {
      env: { PATH: process.env['PATH'] ?? '', ...this.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until(() => output.includes('"message":"ready"') || child.exitCode !== null, 'the server', 60_000);
    assert.equal(child.exitCode, null, output.slice(-2_000));
    // Its log of requests is of no use to anybody here.
    child.stdout.removeAllListeners('data').resume();
  }

  async kill(): Promise<void> {
    const child = this.#child!;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Kills the postmaster; the server starts it again. */
  killDatabase(): void {
    const written = readFileSync(path.join(this.homeDir, 'postgres', 'data', 'postmaster.pid'), 'utf8');
    const ours = processTree(this.#child!.pid!).map(({ pid }) => pid);
    const postmaster = ours.find((pid) => pid === Number(written.split('\n')[0]));
    // In a namespace of its own it has another number there: then it is the one child of ours that runs PostgreSQL.
    const pid = postmaster ?? ours.find((each) => each !== this.#child!.pid && /postgres/.test(commandOf(each)));
    assert.ok(pid, 'PostgreSQL runs below the server');
    process.kill(pid, 'SIGKILL');
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

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function startServer(t: TestContext) {
  const server = new ServerProcess(path.join(newFolder(t), 'home'), await freePort());
  await server.start();
  afterwards(t, () => server.stop());
  const token = await operateCloud(readCloudConfig(server.env), { log: silentLog }, async (operator) => {
    await createTenant(operator.bootstrap, { slug: 'home', name: 'Home', adminUsername: 'admin' });
    return (await inviteDevices(operator, { slug: 'home', uses: 1, days: 1 })).enrollmentToken;
  });
  const store = new EnrollmentStore(newFolder(t));
  const client = new CloudClient(await enroll({ ...aboutDevice, tokenText: JSON.stringify(token) }, store));
  afterwards(t, () => client.close());
  return { server, client };
}

/** Opens a session as an agent does: again and again while the server is away. */
async function connect(client: CloudClient, log: ExampleLog): Promise<CloudDestination> {
  const { archiveId, keyRecords } = log;
  let session: CloudDestination | undefined;
  const tryOnce = async () => {
    session = await CloudDestination.open(client, { archiveId, keyRecords, known: undefined }).catch(
      (error: unknown) => {
        if (error instanceof CodedError && error.kind === 'unavailable') return undefined;
        throw error;
      },
    );
    return session !== undefined;
  };
  await until(tryOnce, 'a session', 60_000);
  return session!;
}

test(
  'whatever kills the server or its database during an upload, every acknowledged record is there afterwards',
  { timeout: 280_000 },
  async (t) => {
    const { server, client } = await startServer(t);
    const log = new ExampleLog();
    const blocks = Array.from({ length: 900 }, () => log.block(60_000));
    const fragments = Array.from({ length: 150 }, (_, i) => blocks.slice(i * 6, i * 6 + 6));
    const acknowledged = new Set<number>();
    const killers: readonly (readonly [after: number, kill: () => Promise<void>])[] = [
      [20, () => server.kill().then(() => server.start())],
      [60, async () => server.killDatabase()],
      [100, () => server.kill().then(() => server.start())],
    ];
    const kills: Promise<void>[] = [];
    let failures = 0;
    for (let round = 0; acknowledged.size < fragments.length && round < 12; round++) {
      const session = await connect(client, log);
      const open = fragments.keys().filter((i) => !acknowledged.has(i));
      const sent = [...open].map(async (i) => {
        await session.append(joined(...fragments[i]!));
        acknowledged.add(i);
        const due = killers[kills.length];
        if (due && acknowledged.size >= due[0]) kills.push(due[1]());
      });
      failures += (await Promise.allSettled(sent)).filter(({ status }) => status === 'rejected').length;
      await Promise.all(kills);
    }
    assert.equal(acknowledged.size, fragments.length);
    assert.equal(kills.length, 3);
    t.diagnostic(`${failures} fragments were sent again in another session`);
    await server.kill();
    await server.start();
    const session = await connect(client, log);
    const expected = new Map(blocks.map(({ ordinal, bytes }) => [sha256Of(bytes), ordinal]));
    for await (const record of session.read(blocks.map(({ ordinal }) => ordinal))) expected.delete(sha256Of(record));
    assert.deepEqual([...expected.values()], []);
  },
);
