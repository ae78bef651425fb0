import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { createHttpsFetch, fetchCa } from '@holdfast/agent/cloud';
import { compareTrees } from '@holdfast/agent/filesystem/testing';
import { createTenant } from '@holdfast/cloud';
import { Problem } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { type Standing, statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { newFolder } from './running-cloud.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

const skip = process.getuid?.() !== 0 && 'needs root: it mounts a small file system';
const mib = 1024 * 1024;

/** Mounts a file system of so many mebibytes at a folder; gone after the test. */
function mountSmallDisk(t: TestContext, folder: string, mebibytes: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', folder]);
  afterwards(t, () => execFileSync('umount', ['-l', folder]));
}

/** Takes the room that a disk has left but for so many bytes, to the last page; returns the file that has it. */
function fill(folder: string, { leftBytes = 0 } = {}): string {
  const file = path.join(folder, 'filling');
  const fd = openSync(file, 'a');
  const freeBytes = () => statfsSync(folder).bavail * statfsSync(folder).bsize;
  try {
    while (freeBytes() > leftBytes) writeSync(fd, new Uint8Array(freeBytes() > leftBytes + mib ? mib : 4096));
  } finally {
    closeSync(fd);
  }
  return file;
}

type Client = { readonly https: ReturnType<typeof createHttpsFetch>; readonly url: string; readonly basic: string };

/** An API client of a tenant of the server. */
async function apiClientOf(server: ServerProcess): Promise<Client> {
  const about = { slug: 'asks', name: 'Asks', adminUsername: 'admin' };
  const made = await server.operate(async ({ bootstrap, server: facts }) => {
    const { apiClientId, apiClientSecret } = await createTenant(bootstrap, about);
    return { url: facts.publicUrl(), caSha256: facts.caSha256, secret: `${apiClientId}:${apiClientSecret}` };
  });
  const https = createHttpsFetch({ ca: await fetchCa(made.url, made.caSha256 ?? '') });
  return { https, url: made.url, basic: `Basic ${Buffer.from(made.secret).toString('base64')}` };
}

type Reply = { readonly about: string; readonly status: number; readonly text: string; readonly tookMs: number };

/** Asks what reads and what writes; every reply, in whatever state the server is. */
async function askAll({ https, url, basic }: Client): Promise<readonly Reply[]> {
  const ask = async (method: string, address: string, headers: Record<string, string>, body?: string) => {
    const begun = performance.now();
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const init = { method, headers: { ...headers, ...json }, ...(body === undefined ? {} : { body }) };
    const reply = await https.fetch(`${url}${address}`, init);
    const text = await reply.text();
    return { about: `${method} ${address}`, status: reply.status, text, tookMs: performance.now() - begun };
  };
  const token = await ask('POST', '/v1/oauth?grant_type=client_credentials', { authorization: basic });
  const bearer = token.status === 200 ? (JSON.parse(token.text) as { access_token: string }).access_token : 'none';
  const headers = { authorization: `Bearer ${bearer}` };
  const password = JSON.stringify({ username: 'nobody', password: 'wrong' });
  const others = await Promise.all([
    ask('GET', '/v1/orgs', headers),
    ask('GET', '/.well-known/jwks.json', {}),
    ask('POST', '/v1/enrollment-tokens', headers, '{"uses":1,"days":1}'),
    ask('POST', '/t/asks/v1/sessions', {}, password),
  ]);
  return [token, ...others];
}

/** No request meets a fault of the server, and none waits for ever: each has its answer, or a problem that is declared. */
function assertDeclared(replies: readonly Reply[], isBearerGiven: boolean): void {
  for (const { about, status, text, tookMs } of replies) {
    const facts = `${about}: ${status} ${text.slice(0, 300)} after ${Math.round(tookMs)} ms`;
    assert.ok(tookMs < 15_000, facts);
    if (status < 400) continue;
    const problem = Problem.safeParse(JSON.parse(text));
    assert.ok(problem.success, facts);
    const isSignIn = about.includes('sessions');
    const isRefused = isSignIn ? status === 401 || status === 429 : status === 401 && !isBearerGiven;
    const isNoRoom = status === 507 && problem.data.code === 'request.no_room';
    const isAway = status === 503 && problem.data.kind === 'unavailable';
    assert.ok(isRefused || isNoRoom || isAway, facts);
  }
}

function countInLog(server: ServerProcess, words: string): number {
  return readFileSync(server.logFile, 'utf8').split(words).length - 1;
}

/** Statuses of the requests that the server has answered, by its own log, from a place in it on. */
function statusesAfter(server: ServerProcess, from: number): readonly number[] {
  const log = readFileSync(server.logFile).subarray(from).toString();
  return [...log.matchAll(/"status":(\d+)/g)].map(([, status]) => Number(status));
}

async function untilNoRoom(agent: RunningAgentProcess): Promise<Standing> {
  let standing: Standing | undefined;
  const isSaid = async () => {
    [standing] = (await statusOf(agent)).standings;
    return /no room/.test(standing?.reason ?? '');
  };
  await until(isSaid, 'the agent to say that the server has no room', 30_000);
  return standing!;
}

/** Restores the tree, as it is now, and compares. */
function assertRestores(agent: RunningAgentProcess): void {
  const to = path.join(agent.folder, 'restored');
  const { status, stderr } = agent.run('restore', agent.tree, '--to', to);
  assert.equal(status, 0, stderr);
  assert.deepEqual(compareTrees(agent.tree, path.join(to, 'tree')), []);
}

function segmentsOf(homeDir: string): number {
  const names = readdirSync(path.join(homeDir, 'blobs'), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /segments\/\d/.test(name)).length;
}

test(
  'a server whose disk is full, the database with it, answers with declared problems, loses nothing, and goes on by itself',
  { skip, timeout: 240_000 },
  async (t) => {
    const homeDir = path.join(newFolder(t), 'home');
    mountSmallDisk(t, homeDir, 400);
    const server = await startServerProcess(t, { homeDir });
    const client = await apiClientOf(server);
    afterwards(t, () => client.https.close());
    const agent = new RunningAgentProcess(t);
    agent.write('early', randomBytes(mib));
    agent.enroll(await server.invite());
    await agent.start();
    await untilStanding(agent, 'protected');
    const early = readFileSync(path.join(agent.tree, 'early'));
    const spare = path.join(server.homeDir, 'postgres', 'spare-room');
    await until(() => existsSync(spare), 'room kept back for the database', 30_000);
    assertDeclared(await askAll(client), true);

    fill(homeDir, { leftBytes: 90 * mib });
    for (let number = 0; number < 40; number++) agent.write(`late/${number}`, randomBytes(mib));
    const { state, remedy } = await untilNoRoom(agent);
    const filling = fill(homeDir);
    assert.ok(['behind', 'failed'].includes(state));
    assert.match(remedy ?? '', /^make room on the disk of the server; /);
    assertDeclared(await askAll(client), false);

    // The database comes to the end of its log's file, and there is no room for the next one.
    await server
      .operate(async ({ bootstrap }) => {
        const write = () =>
          bootstrap.system.withoutTenant((tx) =>
            tx
              .withTables<object>()
              .selectNoFrom((make) =>
                make
                  .fn('pg_logical_emit_message', [
                    make.val(true),
                    make.val('filling'),
                    make.cast(make.val('x'.repeat(mib)), 'text'),
                  ])
                  .as('at'),
              )
              .execute(),
          );
        for (let number = 0; number < 20; number++) await write().catch(() => undefined);
      })
      .catch(() => undefined);
    for (let round = 0; round < 6; round++) {
      assertDeclared(await askAll(client), false);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    const crashes = countInLog(server, 'the database ended unexpectedly');
    assert.ok(crashes <= 1, `it ended ${crashes} times`);
    assert.equal(countInLog(server, 'the database did not start again'), 0);
    assert.equal((await untilNoRoom(agent)).remedy, remedy);
    // What was acknowledged can be read all the while.
    const meanwhile = path.join(agent.folder, 'meanwhile');
    const restored = agent.run('restore', path.join(agent.tree, 'early'), '--to', meanwhile);
    assert.equal(restored.status, 0, restored.stderr);
    assert.ok(readFileSync(path.join(meanwhile, 'early')).equals(early));

    const freed = performance.now();
    rmSync(filling);
    await untilStanding(agent, 'protected', 120_000);
    t.diagnostic(
      `protected ${Math.round((performance.now() - freed) / 1000)} s after there was room; ${crashes} crashes`,
    );
    assertRestores(agent);
    assert.deepEqual(
      statusesAfter(server, 0).filter((status) => status === 500),
      [],
    );
  },
);

test(
  'a server whose archives have no more room takes all else, loses nothing, and goes on by itself',
  { skip, timeout: 180_000 },
  async (t) => {
    const homeDir = path.join(newFolder(t), 'home');
    const blobs = path.join(homeDir, 'blobs');
    mountSmallDisk(t, blobs, 100);
    const server = await startServerProcess(t, { homeDir });
    const client = await apiClientOf(server);
    afterwards(t, () => client.https.close());
    const agent = new RunningAgentProcess(t);
    agent.write('early', randomBytes(mib));
    agent.enroll(await server.invite());
    await agent.start();
    await untilStanding(agent, 'protected');
    for (let number = 0; number < 50; number++) agent.write(`late/${number}`, randomBytes(mib));
    const { remedy } = await untilNoRoom(agent);
    assert.match(remedy ?? '', /^make room on the disk of the server; /);
    const filling = fill(blobs);
    for (const { status, about, text } of await askAll(client)) {
      assert.ok(status < 300 || about.includes('sessions'), `${about}: ${status} ${text}`);
    }
    assert.ok(segmentsOf(homeDir) > 0);
    rmSync(filling);
    execFileSync('mount', ['-o', 'remount,size=400m', blobs]);
    await untilStanding(agent, 'protected', 120_000);
    assertRestores(agent);
    assert.deepEqual(
      statusesAfter(server, 0).filter((status) => status === 500),
      [],
    );
  },
);
