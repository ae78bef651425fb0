import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Client } from 'pg';
import { afterwards, makeClone } from '@holdfast/testing';
import { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded-postgres.ts';

const PASSWORD = "it's a password";
const isRoot = process.getuid?.() === 0;

/** A home with a space in its path, gone after the test. */
function home(t: TestContext, parent = tmpdir()): string {
  const folder = mkdtempSync(path.join(parent, 'holdfast postgres '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'home');
}

async function start(t: TestContext, options: Partial<EmbeddedPostgresOptions> & { homeDir: string }) {
  const server = await startEmbeddedPostgres({ superuserPassword: PASSWORD, ...options });
  afterwards(t, () => server.stop());
  return server;
}

async function query(server: EmbeddedPostgres, sql: string): Promise<unknown[]> {
  const { host, port, superuser: user, database } = server;
  const client = new Client({ host, port, user, password: PASSWORD, database });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

/** Every running PostgreSQL process that works below the home. */
function processesBelow(homeDir: string): number[] {
  const inode = (file: string) => {
    try {
      const { dev, ino } = statSync(file);
      return `${dev}:${ino}`;
    } catch {
      return undefined;
    }
  };
  const data = inode(path.join(homeDir, 'postgres', 'data'));
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => isAlive(pid) && data !== undefined && inode(`/proc/${pid}/cwd`) === data);
}

/** Polls at the edge of the process: nobody tells us when another process is gone. */
async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `in vain waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a cluster is made once, keeps its rows, and leaves no process behind', async (t) => {
  const homeDir = home(t);
  const first = await start(t, { homeDir });
  await query(first, 'create table kept as select 42 as answer');
  assert.deepEqual(await query(first, 'show fsync'), ['on']);
  assert.deepEqual(await query(first, 'show listen_addresses'), ['']);
  assert.deepEqual(await query(first, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'"), [
    '0',
  ]);
  await first.stop();
  assert.deepEqual(processesBelow(homeDir), []);

  const startedAt = performance.now();
  const second = await start(t, { homeDir });
  t.diagnostic(`second start: ${Math.round(performance.now() - startedAt)} ms`);
  assert.deepEqual(await query(second, 'select answer from kept'), [42]);
  await second.stop();
  assert.deepEqual(processesBelow(homeDir), []);
});

test('no file below the home holds the password', async (t) => {
  const homeDir = home(t);
  const server = await start(t, { homeDir });
  await server.stop();
  const files = readdirSync(homeDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(files.length > 500);
  for (const entry of files) {
    const file = path.join(entry.parentPath, entry.name);
    assert.equal(readFileSync(file).includes(PASSWORD), false, file);
  }
});

test('a wrong password is refused by name, at the next start too', async (t) => {
  const homeDir = home(t);
  const server = await start(t, { homeDir });
  await assert.rejects(
    new Client({ host: server.host, user: server.superuser, password: 'other', database: 'postgres' }).connect(),
    { code: '28P01' },
  );
  await server.stop();
  await assert.rejects(startEmbeddedPostgres({ homeDir, superuserPassword: 'other' }), {
    code: 'embedded_postgres.password_refused',
  });
  await start(t, { homeDir });
});

test('one cluster is run by one process at a time', async (t) => {
  const homeDir = home(t);
  const server = await start(t, { homeDir });
  await assert.rejects(startEmbeddedPostgres({ homeDir, superuserPassword: PASSWORD }), {
    code: 'embedded_postgres.in_use',
    kind: 'conflict',
  });
  assert.deepEqual(await query(server, 'select 1'), [1]);
});

test('a socket is reached below a path longer than a socket address', async (t) => {
  const homeDir = path.join(home(t), 'x'.repeat(100), 'y'.repeat(100));
  const server = await start(t, { homeDir });
  assert.match(server.host, /^\/proc\/self\/fd\/\d+$/);
  assert.deepEqual(await query(server, 'select 1'), [1]);
});

test('a killed postmaster is started again and committed rows are there', async (t) => {
  const server = await start(t, { homeDir: home(t) });
  await query(server, 'create table kept as select 42 as answer');
  const killed = server.pid!;
  process.kill(killed, 'SIGKILL');
  await until(() => server.pid !== killed && server.isReady(), 'the next postmaster');
  assert.deepEqual(await query(server, 'select answer from kept'), [42]);
});

test('stopping while it is being started again leaves no process', async (t) => {
  const homeDir = home(t);
  const server = await start(t, { homeDir });
  process.kill(server.pid!, 'SIGKILL');
  await until(() => !server.isReady(), 'the death to be noticed');
  await server.stop();
  await until(() => processesBelow(homeDir).length === 0, 'the end of every process', 5_000);
});

/** Runs a cluster in a process of its own that is killed; returns the pid of the orphaned postmaster. */
async function orphan(homeDir: string): Promise<number> {
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(import.meta.resolve('./embedded-postgres.ts'))};
    const server = await startEmbeddedPostgres(${JSON.stringify({ homeDir, superuserPassword: PASSWORD })});
    console.log(server.pid);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await Array.fromAsync(firstChunk(child.stdout))) as [string];
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  return Number(line);
}

async function* firstChunk(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const chunk of stream) {
    yield chunk.toString();
    return;
  }
}

test('what a killed process left over is ended by the next start', async (t) => {
  const homeDir = home(t);
  const leftover = await orphan(homeDir);
  assert.ok(isAlive(leftover), 'the postmaster outlived its starter');
  const server = await start(t, { homeDir });
  assert.equal(isAlive(leftover), false);
  assert.notEqual(server.pid, leftover);
  assert.deepEqual(await query(server, 'select 1'), [1]);
});

test('a stranger whose pid stands in postmaster.pid is left alone, and keeps nothing from starting', async (t) => {
  const homeDir = home(t);
  const leftover = await orphan(homeDir);
  const pidFile = path.join(homeDir, 'postgres', 'data', 'postmaster.pid');
  const stranger = spawn('sleep', ['60'], { cwd: path.dirname(pidFile), stdio: 'ignore' });
  afterwards(t, () => stranger.kill('SIGKILL'));
  process.kill(leftover, 'SIGKILL');
  await until(() => processesBelow(homeDir).every((pid) => pid === stranger.pid), 'the children to end');
  writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(stranger.pid)));
  const server = await start(t, { homeDir });
  assert.ok(isAlive(stranger.pid!), 'the stranger lives');
  assert.deepEqual(await query(server, 'select 1'), [1]);
});

test('half a cluster of an interrupted first start is thrown away', async (t) => {
  const homeDir = home(t);
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(import.meta.resolve('./embedded-postgres.ts'))};
    await startEmbeddedPostgres(${JSON.stringify({ homeDir, superuserPassword: PASSWORD })});`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  await until(() => existsSync(path.join(homeDir, 'postgres', 'new', 'base')), 'initdb to be at work');
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const server = await start(t, { homeDir });
  assert.deepEqual(await query(server, 'select 1'), [1]);
  assert.equal(existsSync(path.join(homeDir, 'postgres', 'new')), false);
});

/** Becomes another user after everything is loaded (the clone may lie where that user cannot read) and runs `body`. */
async function asUser(uid: number, body: string, rootDir = path.join(import.meta.dirname, '../../../..')) {
  const module = path.join(rootDir, 'apps/cloud/src/platform/embedded-postgres.ts');
  const pg = createRequire(module).resolve('pg');
  const script = `
    const { default: pg } = await import(${JSON.stringify(pg)});
    const { startEmbeddedPostgres } = await import(${JSON.stringify(module)});
    const tried = async (options) => {
      const client = new pg.Client({ connectionTimeoutMillis: 2000, ...options });
      try { await client.connect(); return 'connected'; }
      catch (error) { return String(error.code ?? error.message); }
      finally { await client.end().catch(() => undefined); }
    };
    process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});
    process.env.HOME = '/nonexistent';
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks = await Array.fromAsync(child.stdout as AsyncIterable<Buffer>);
  return Buffer.concat(chunks).toString().trim();
}

const NOBODY = 65_534;

test('nobody connects to nothing, with any default', { skip: !isRoot && 'needs root to become nobody' }, async (t) => {
  const server = await start(t, { homeDir: home(t) });
  const places = [{}, { host: '/tmp' }, { host: '/var/run/postgresql' }, { host: 'localhost' }, { host: '::1' }];
  const users = ['postgres', 'nobody', 'root', server.superuser];
  const attempts = [...places, { host: server.socketDir, port: server.port }].flatMap((place) =>
    users.flatMap((user) => [
      { ...place, user },
      { ...place, user, password: 'postgres' },
    ]),
  );
  const output = await asUser(
    NOBODY,
    `
    for (const options of ${JSON.stringify(attempts)}) console.log(await tried({ database: 'postgres', ...options }));`,
  );
  const results = output.split('\n');
  assert.equal(results.length, attempts.length);
  assert.equal(results.includes('connected'), false, output);
  // The same script with the password, as root, through the same folder: what is refused above is the user.
  const { host, port, superuser: user } = server;
  const client = new Client({ host, port, user, password: PASSWORD, database: 'postgres' });
  await client.connect();
  await client.end();
});

test('its owner without the password is refused as well', async (t) => {
  const server = await start(t, { homeDir: home(t) });
  for (const password of [undefined, 'postgres', 'password']) {
    const client = new Client({
      host: server.host,
      port: server.port,
      user: server.superuser,
      database: 'postgres',
      password,
    });
    await assert.rejects(client.connect());
  }
});

test('an ordinary user runs a cluster', { skip: !isRoot && 'run as root, it becomes one' }, async (t) => {
  const homeDir = home(t);
  chownSync(path.dirname(homeDir), NOBODY, NOBODY);
  const options = JSON.stringify({ homeDir, superuserPassword: PASSWORD });
  const output = await asUser(
    NOBODY,
    `
    for (const round of [1, 2]) {
      const server = await startEmbeddedPostgres(${options});
      const { host, port, superuser: user, database } = server;
      console.log(server.isolation, await tried({ host, port, user, database, password: ${JSON.stringify(PASSWORD)} }));
      await server.stop();
    }`,
    // This checkout may lie where only root may read.
    makeClone(t),
  );
  assert.equal(output, 'same-user connected\nsame-user connected');
  assert.equal(statSync(path.join(homeDir, 'postgres', 'data')).uid, NOBODY);
  await assert.rejects(startEmbeddedPostgres({ homeDir, superuserPassword: PASSWORD }), {
    code: 'embedded_postgres.other_owner',
  });
});

test('root runs it in a namespace, the data its own and in place', { skip: !isRoot && 'needs root' }, async (t) => {
  const homeDir = home(t, '/root');
  const server = await start(t, { homeDir });
  if (server.isolation !== 'namespace') return t.skip('user namespaces are refused here');
  assert.equal(statSync(path.join(homeDir, 'postgres', 'data')).uid, 0);
  assert.equal(statSync(path.join(homeDir, 'postgres', 'data')).mode & 0o777, 0o700);
  assert.deepEqual(await query(server, 'select 1'), [1]);
});

test('where namespaces are refused it runs under a uid of its own', { skip: !isRoot && 'needs root' }, async (t) => {
  const homeDir = home(t, '/root');
  const ownUidDir = mkdtempSync(path.join('/var/lib', 'holdfast-test-'));
  afterwards(t, () => rmSync(ownUidDir, { recursive: true, force: true }));
  for (const isolation of ['own-uid', undefined] as const) {
    const server = await start(t, { homeDir, ownUidDir, ...(isolation && { isolation }) });
    assert.equal(server.isolation, 'own-uid');
    const { uid } = statSync(`/proc/${server.pid}`);
    assert.ok(uid >= 61_000 && uid <= 61_183, String(uid));
    assert.equal(statSync(path.join(homeDir, 'postgres', 'data')).uid, uid);
    assert.deepEqual(await query(server, 'select 1'), [1]);
    await server.stop();
  }
});
