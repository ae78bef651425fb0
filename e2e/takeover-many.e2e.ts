import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { EnrollmentStore } from '@holdfast/agent/cloud';
import { figuresOf, resetPeak, untilStanding } from './agent-status.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess } from './server-process.ts';
import { archiveFolderOf } from './stored-records.ts';
import { storedIn } from './takeover-scene.ts';

const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
const files = isFull ? 100_000 : 2_000;
const filesAFolder = 1_000;
/** From the command on the new computer until its agent says that everything is protected. */
const mostSeconds = isFull ? 300 : 60;
const patienceMs = 3_600_000;

function makeFiles(agent: RunningAgentProcess): void {
  for (let folder = 0; folder * filesAFolder < files; folder++) {
    mkdirSync(path.join(agent.tree, String(folder)));
    for (let place = 0; place < filesAFolder; place++)
      writeFileSync(path.join(agent.tree, String(folder), `file ${place}`), `content ${place} of ${folder}`);
  }
}

/** The same files on another disk: other inodes, and later times of change. */
function copyTree(tree: string): void {
  assert.equal(spawnSync('cp', ['-a', tree, `${tree} copy`]).status, 0);
  rmSync(tree, { recursive: true });
  renameSync(`${tree} copy`, tree);
}

function segmentBytes(folder: string): number {
  const segments = path.join(folder, 'segments');
  return readdirSync(segments).reduce((sum, name) => sum + statSync(path.join(segments, name)).size, 0);
}

test(
  `a new computer that has ${files.toLocaleString('en')} files on its disk is protected again within ${mostSeconds} s, and sends none of them`,
  { timeout: 2 * patienceMs },
  async (t) => {
    const server = await startServerProcess(t);
    const old = new RunningAgentProcess(t);
    makeFiles(old);
    old.enroll(await server.invite());
    await old.start();
    await untilStanding(old, 'protected', patienceMs);
    const ask = (request: string, about: object = {}) => askAgent(old.socketPath, { request, ...about });
    const { code } = await ask('key.show-recovery');
    await ask('key.confirm-recovery', { code });
    // What was written just before it was read is read once more.
    await ask('backup');
    await old.kill('SIGTERM');
    copyTree(old.tree);
    const folder = archiveFolderOf(server.homeDir);
    const before = { ...(await storedIn(folder)), bytes: segmentBytes(folder) };

    const { deviceUid } = new EnrollmentStore(old.stateDir).load()!;
    const agent = new RunningAgentProcess(t, { tree: old.tree });
    const token = await server.invite();
    const tokenFile = path.join(agent.folder, 'token');
    writeFileSync(tokenFile, JSON.stringify(token));
    const by = ['--token-file', tokenFile, '--replace', deviceUid, '--recovery-code', '--yes'];
    const serverBefore = figuresOf(server.pid);
    const begunMs = performance.now();
    const seconds = () => (performance.now() - begunMs) / 1000;
    const input = `${String(code)}\n`;
    const taken = agent.runWith({ input, timeoutMs: patienceMs }, 'agent', 'enroll', token.url, ...by);
    assert.equal(taken.status, 0, taken.stderr);
    const takenSeconds = seconds();
    await agent.start();
    resetPeak(agent.child!.pid!);
    await untilStanding(agent, 'protected', patienceMs);
    const allSeconds = seconds();
    const { cpuSeconds, peakMegabytes } = figuresOf(agent.child!.pid!);
    const serverSeconds = figuresOf(server.pid).cpuSeconds - serverBefore.cpuSeconds;

    const after = { ...(await storedIn(folder)), bytes: segmentBytes(folder) };
    const sentBytes = after.bytes - before.bytes;
    const lines = [
      `taken over after ${takenSeconds.toFixed(1)} s, protected after ${allSeconds.toFixed(1)} s`,
      `processor: agent ${cpuSeconds.toFixed(1)} s, server ${serverSeconds.toFixed(1)} s; agent ${peakMegabytes.toFixed(0)} MB at most`,
      `${sentBytes} bytes more at the server, where ${before.bytes} were: lists and trees of the new volume`,
    ];
    for (const line of lines) t.diagnostic(line);
    assert.equal(after.contents, before.contents, 'no record of a file is sent again');
    assert.ok(allSeconds < mostSeconds, lines[0]!);
  },
);
