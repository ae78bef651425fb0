import assert from 'node:assert/strict';
import { existsSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { afterwards, makeClone } from '@holdfast/testing';
import { stillRunning, until } from './process-tree.ts';
import { ask, freePort, kill, signIn, startUp, type RunningUp } from './running-up.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

const args = async () => ['--port', String(await freePort())];
const quickstartOf = (up: RunningUp) => path.join(up.homeDir, 'quickstart.json');

/** Asserts that it ended well and that nothing it had started still runs. */
async function assertAllGone(up: RunningUp, processes: ReturnType<RunningUp['processes']>): Promise<void> {
  assert.ok(
    processes.some(({ name }) => name === 'postgres'),
    'the database was among them',
  );
  await until(() => up.hasEnded(), 'its end', 20_000);
  // Who was ended by us is reaped by whoever inherited it, a moment later.
  await until(
    () => stillRunning(processes).length === 0,
    `the end of ${JSON.stringify(stillRunning(processes))}`,
    2_000,
  );
  assert.equal(existsSync(quickstartOf(up)), false, 'nothing says that it is ready');
}

for (const [who, options] of [
  ['by root below /root', { parentDir: '/root' }],
  ['by an ordinary user whose packages are read-only', { owner: NOBODY }],
] as const) {
  const skip = !isRoot && 'needs root';
  test(`npm start ${who}, in a folder with a space, becomes ready and goes on the next time`, { skip }, async (t) => {
    const cloneDir = makeClone(t, options);
    const start = async (withArgs: readonly string[]) => {
      const up = startUp(t, {
        cloneDir,
        withNpm: true,
        args: withArgs,
        ...('owner' in options && { uid: options.owner }),
      });
      const { handout, tookMs } = await up.ready();
      return { up, handout, tookMs };
    };
    const first = await start(await args());
    t.diagnostic(`first start: ${Math.round(first.tookMs)} ms`);
    assert.equal(statSync(quickstartOf(first.up)).mode & 0o777, 0o600);
    assert.equal(statSync(first.up.homeDir).mode & 0o777, 0o700);
    const page = await ask(first.handout, '/');
    assert.equal(page.status, 200);
    assert.match(page.body, /console is coming/);
    assert.equal((await signIn(first.handout)).status, 200);
    await until(() => first.up.stdout.includes('Try:'), 'its text');
    assert.ok(first.up.stdout.includes(first.handout.url));
    assert.ok(first.up.stdout.includes(quickstartOf(first.up)));
    const processes = first.up.processes();
    first.up.interrupt();
    await assertAllGone(first.up, processes);

    const second = await start([]);
    t.diagnostic(`second start: ${Math.round(second.tookMs)} ms`);
    assert.ok(second.tookMs <= 10_000, `${second.tookMs} ms`);
    assert.deepEqual(second.handout, first.handout, 'the same address, CA and credentials');
    assert.equal((await signIn(second.handout)).status, 200);
    const processesOfSecond = second.up.processes();
    second.up.child.kill('SIGTERM'); // To npm alone.
    await assertAllGone(second.up, processesOfSecond);
  });
}

test('Ctrl-C, TERM and HUP each leave no process, a second Ctrl-C changes nothing', async (t) => {
  const cloneDir = makeClone(t);
  const stops: Record<string, (up: RunningUp) => void> = {
    'Ctrl-C': (up) => up.interrupt(),
    'Ctrl-C twice': (up) => {
      up.interrupt();
      up.interrupt();
    },
    TERM: (up) => up.child.kill('SIGTERM'),
    HUP: (up) => up.child.kill('SIGHUP'),
  };
  for (const [name, stop] of Object.entries(stops)) {
    const up = startUp(t, { cloneDir, args: await args() });
    await up.ready();
    const processes = up.processes();
    stop(up);
    await assertAllGone(up, processes);
    assert.deepEqual(await up.ended, { code: 0, signal: null }, `${name}: ${up.stderr}`);
  }
});

test('TERM in the middle of the first start leaves no process, and the next start works', async (t) => {
  const cloneDir = makeClone(t);
  for (const moment of ['postgres.lock', 'postgres/new/base', 'postgres/data/postmaster.pid']) {
    const up = startUp(t, { cloneDir, args: await args() });
    await until(() => existsSync(path.join(up.homeDir, moment)) || up.hasEnded(), moment);
    const processes = up.processes();
    up.child.kill('SIGTERM');
    await until(() => up.hasEnded(), 'its end', 20_000);
    await until(() => stillRunning(processes).length === 0, 'the end of all', 2_000);
    assert.equal(existsSync(quickstartOf(up)), false);
    const next = startUp(t, { cloneDir, args: await args() });
    assert.equal((await ask((await next.ready()).handout, '/')).status, 200);
    next.child.kill('SIGTERM');
    await next.ended;
    rmSync(up.homeDir, { recursive: true });
  }
});

test('after kill -9 of everything, or of the server alone, the next start works with the same data', async (t) => {
  const cloneDir = makeClone(t);
  const fixed = await args();
  let before: unknown;
  for (const victims of ['everything', 'the server', 'the database', 'nobody']) {
    const up = startUp(t, { cloneDir, args: fixed });
    const { handout, tookMs } = await up.ready();
    t.diagnostic(`ready after ${Math.round(tookMs)} ms`);
    assert.deepEqual(handout, (before ??= handout));
    assert.equal((await ask(handout, '/')).status, 200);
    const processes = up.processes();
    const killed = processes.filter(({ name }) => {
      if (victims === 'everything') return true;
      return victims === 'the server' ? name !== 'postgres' : victims === 'the database' && name === 'postgres';
    });
    for (const { pid } of killed) kill(pid, 'SIGKILL');
    if (victims === 'the database') {
      // It is started again under the same server, without anybody's help.
      // The killed ones are still to be seen for a moment.
      const isNew = ({ pid, name }: { pid: number; name: string }) =>
        name === 'postgres' && !processes.some((old) => old.pid === pid);
      await until(() => up.processes().filter(isNew).length >= 4, 'another database');
      await until(async () => (await ask(handout, '/')).status === 200, 'an answer');
    }
    if (victims !== 'everything' && victims !== 'the server') {
      const left = up.processes();
      up.child.kill('SIGTERM');
      await assertAllGone(up, left);
    } else await up.ended;
    if (victims === 'the server') assert.ok(stillRunning(processes).length > 0, 'the database was left over');
  }
});

test('two starts at once become one server, and the second says what the first does', async (t) => {
  const cloneDir = makeClone(t);
  const fixed = await args();
  const ups = [startUp(t, { cloneDir, args: fixed }), startUp(t, { cloneDir, args: fixed })];
  await until(() => ups.some((up) => up.hasEnded()), 'the end of one of them', 60_000);
  const [second, first] = ups[0]!.hasEnded() ? [ups[0]!, ups[1]!] : [ups[1]!, ups[0]!];
  assert.deepEqual(await second.ended, { code: 0, signal: null }, second.stderr);
  await until(() => first.stdout.includes('Try:'), 'the text of the first');
  assert.equal(second.stdout, first.stdout);
  assert.equal((await ask((await first.ready()).handout, '/')).status, 200);
  const other = startUp(t, { cloneDir, args: await args() });
  assert.equal((await other.ended).code, 6);
  assert.match(other.stderr, /up\.other_options[^]*What to do: stop it first/);
});

test('a taken port is an error that names the port and the remedy, and leaves nothing running', async (t) => {
  const cloneDir = makeClone(t);
  const [option, port] = await args();
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(Number(port), '127.0.0.1', resolve));
  afterwards(t, () => squatter.close());
  const refused = startUp(t, { cloneDir, args: [option!, port!] });
  assert.deepEqual(await refused.ended, { code: 6, signal: null });
  assert.match(refused.stderr, new RegExp(`listen\\.port_taken[^]*port: ${port}[^]*What to do: .*--port N`));
  assert.equal(existsSync(path.join(refused.homeDir, 'postgres', 'data', 'postmaster.pid')), false);
  const up = startUp(t, { cloneDir, args: await args() });
  await up.ready();
});
