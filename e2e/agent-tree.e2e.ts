import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { compareTrees, makeTortureTree, removeTree } from '@holdfast/agent/filesystem/testing';
import { afterwards } from '@holdfast/testing';
import { figuresOf, runQuietly, untilStanding } from './agent-status.ts';
import { RunningAgentProcess } from './running-agent.ts';

const isRoot = process.getuid?.() === 0;
const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
const hasRsync = spawnSync('rsync', ['--version']).status === 0;
const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
const megabyte = 1024 * 1024;
const largeBytes = (isFull ? 3 * 1024 : 100) * megabyte;
/** Files of this machine: all of them take a minute. */
const realFolders = (isFull ? ['/usr/include', '/usr/share'] : ['/usr/include']).filter((folder) => existsSync(folder));
const patienceMs = 1_200_000;

function output(program: string, args: readonly string[], cwd?: string): string {
  const run = spawnSync(program, args, { cwd, maxBuffer: 256 * megabyte, env: { ...process.env, LC_ALL: 'C' } });
  assert.equal(run.status, 0, run.stderr.toString('latin1'));
  return run.stdout.toString('latin1');
}

/** A file of bytes that no program shortens. */
function writeDense(file: string, bytes: number): void {
  const fd = openSync(file, 'wx');
  const block = randomBytes(megabyte);
  for (let at = 0; at * megabyte < bytes; at++) {
    block.writeUInt32LE(at, 0);
    // Each block is another one, as far as a store that knows equal ones can tell.
    block.writeUInt32LE(at, megabyte / 2);
    for (let step = 0; step < megabyte; step += 4096) block.writeUInt32LE((at * 2_654_435_761) >>> 0, step + 8);
    writeSync(fd, block);
  }
  closeSync(fd);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

test(
  `an agent brings back a tree of everything, ${largeBytes / megabyte} MB dense and sparse files included, so that rsync and find see no difference`,
  { skip: (!isRoot && 'needs root') || (!hasRsync && 'needs rsync') },
  async (t) => {
    const agent = new RunningAgentProcess(t);
    // Paths over 4,096 bytes are in it: what removes the folder otherwise cannot go there.
    const restored = path.join(agent.folder, 'restored');
    afterwards(t, () => [agent.tree, restored].filter((each) => existsSync(each)).forEach((each) => removeTree(each)));
    const torture = path.join(agent.tree, 'torture');
    mkdirSync(torture);
    makeTortureTree(torture, { sparseBytes: largeBytes });
    writeDense(path.join(agent.tree, 'dense'), largeBytes);
    mkdirSync(path.join(agent.tree, 'real'));
    output('cp', ['-a', ...realFolders, path.join(agent.tree, 'real')]);
    await agent.start();
    const begun = performance.now();
    agent.addDestination();
    const { problems } = await untilStanding(agent, 'protected', patienceMs);
    assert.deepEqual(problems, []);
    const { cpuSeconds, peakMegabytes } = figuresOf(agent.child!.pid!);
    t.diagnostic(
      `backup: ${((performance.now() - begun) / 1000).toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of processor, ${peakMegabytes.toFixed(0)} MB at most`,
    );
    const again = await askAgent(agent.socketPath, { request: 'backup' });
    assert.equal(again['newBytes'], 0);

    const restoring = performance.now();
    const command = [launcher, 'restore', agent.tree, '--to', restored, '--setuid'];
    const env = { ...process.env, HOLDFAST_HOME: path.dirname(agent.stateDir) };
    const { code, stderr } = await runQuietly(process.execPath, command, { cwd: agent.folder, env });
    assert.equal(code, 0, stderr);
    t.diagnostic(`restore: ${((performance.now() - restoring) / 1000).toFixed(1)} s`);
    const back = path.join(restored, 'tree');
    assert.equal(await sha256Of(path.join(back, 'dense')), await sha256Of(path.join(agent.tree, 'dense')));
    assert.deepEqual(compareTrees(agent.tree, back), []);
    const listing = (folder: string) =>
      output('find', ['.', '-mindepth', '1', '-printf', '%P %T@ %y %m %U %G %l\\0'], folder).split('\0').toSorted();
    assert.deepEqual(listing(agent.tree), listing(back));
    // rsync cannot walk paths over 4,096 bytes; our own walker has looked at those.
    const compared = ['-aHAXSnc', '--delete', '--itemize-changes', '--exclude=/torture/deep'];
    assert.equal(output('rsync', [...compared, `${agent.tree}/`, `${back}/`]), '');
  },
);
