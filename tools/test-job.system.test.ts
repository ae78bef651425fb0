import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runJob, type JobResult } from './test-job.ts';

const needsProc = process.platform !== 'linux' && 'needs /proc';

async function run(source: string, timeoutMs = 20_000): Promise<JobResult> {
  const rootDir = mkdtempSync(join(tmpdir(), 'a job '));
  try {
    mkdirSync(join(rootDir, 'run'));
    writeFileSync(join(rootDir, 'x.test.mjs'), `import { test, describe } from 'node:test';\n${source}`);
    const job = { name: 'x', args: ['x.test.mjs'], timeoutMs, hasTests: true };
    return await runJob(job, 1, { rootDir, runDir: join(rootDir, 'run'), environment: process.env, graceMs: 300 });
  } finally {
    rmSync(rootDir, { recursive: true });
  }
}

test('passed, failed and skipped tests are counted one by one, suites are not', async () => {
  const result = await run(`
    test('a', () => {});
    describe('suite', () => { test('b', () => {}); test('c', () => { throw new Error('the reason of c'); }); });
    test('d', { skip: 'needs root' }, () => {});
    test('e', async (t) => { await t.test('e1', () => {}); });
  `);
  assert.equal(result.passed, 4);
  assert.deepEqual(result.failures, ['c']);
  assert.deepEqual(
    result.skipped.map(({ name, reason }) => [name, reason]),
    [['d', 'needs root']],
  );
  assert.match(result.output, /the reason of c/);
});

test('a file that passes everything has no failure', async () => {
  const { passed, failures, skipped } = await run("test('a', () => {}); test('b', () => {});");
  assert.deepEqual({ passed, failures, skipped }, { passed: 2, failures: [], skipped: [] });
});

test('a file fails that cannot be loaded, has no test, or breaks after its tests', async () => {
  assert.deepEqual((await run("import './missing.mjs';")).failures, ['it ended with code 1']);
  assert.deepEqual((await run('')).failures, ['it has no tests']);
  const broken = await run("test('a', () => {}); process.on('exit', () => { process.exitCode = 7; });");
  assert.deepEqual([broken.passed, broken.failures], [1, ['it ended with code 7']]);
  assert.deepEqual((await run("process.kill(process.pid, 'SIGSEGV');")).failures, ['it ended with SIGSEGV']);
});

test('a file that hangs is ended after its time', async () => {
  const hanging = await run("test('a', () => new Promise(() => setInterval(() => {}, 1000)));", 700);
  assert.match(hanging.failures.join('\n'), /it was ended after its 0\.7 s/);
  assert.ok(hanging.elapsedMs < 15_000);
  const deaf = await run("process.on('SIGTERM', () => {}); test('a', () => { for (;;); });", 700);
  assert.match(deaf.failures.join('\n'), /it was ended after its 0\.7 s/);
});

test('files left behind are a failure', async () => {
  const left = "import fs from 'node:fs'; import os from 'node:os'; fs.writeFileSync(os.tmpdir() + '/left', '');";
  const [failure] = (await run(`${left} test('a', () => {});`)).failures;
  assert.match(failure ?? '', /^it left files behind in .*: left$/);
});

test('processes left behind are a failure and are ended, in another session as well', { skip: needsProc }, async () => {
  for (const detached of [false, true]) {
    const result = await run(`
      import { spawn } from 'node:child_process';
      test('a', () => { spawn('sleep', ['61.5'], { detached: ${detached}, stdio: 'inherit' }).unref(); });
    `);
    const [failure, ...others] = result.failures;
    assert.match(failure ?? '', /^it left process \d+ behind: sleep 61\.5$/);
    assert.deepEqual(others, []);
    const pid = Number(/\d+/.exec(failure ?? '')?.[0]);
    assert.ok(await ends(pid));
  }
});

/** Whether a process that was killed is gone within 5 s; a zombie is, where nobody collects the dead. */
async function ends(pid: number): Promise<boolean> {
  for (const until = performance.now() + 5_000; performance.now() < until; await sleep(20)) {
    if (!existsSync(`/proc/${pid}/stat`) || /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) return true;
  }
  return false;
}
