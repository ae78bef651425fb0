import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { openSync, closeSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { recover } from '@holdfast/recover';
import { RunningAgentProcess } from './running-agent.ts';

/** Overwrites what lies in the middle of the destination's longest segment, too much of it for what mends segments. */
function damage(destination: string): void {
  const archive = readdirSync(destination).find((name) => name.startsWith('holdfast-'))!;
  const segments = path.join(destination, archive, 'segments');
  const files = readdirSync(segments).map((name) => path.join(segments, name));
  const [longest] = files.toSorted((a, b) => statSync(b).size - statSync(a).size);
  const descriptor = openSync(longest!, 'r+');
  writeSync(descriptor, Buffer.alloc(400_000), 0, 400_000, 300_000);
  closeSync(descriptor);
}

test('what was stored again is found by restore and by recover, for the newest and for an older version', async (t) => {
  const agent = new RunningAgentProcess(t);
  const shared = randomBytes(1_500_000);
  const older = Buffer.concat([shared, randomBytes(50_000)]);
  const newest = Buffer.concat([shared, randomBytes(60_000)]);
  const file = agent.write('file', older);
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  agent.write('file', newest);
  assert.equal(agent.run('backup').status, 0);
  const versions = agent.run('versions', file).value['versions'] as {
    readonly commit: number;
    readonly from: string;
    readonly sizeBytes: number;
  }[];
  assert.equal(versions.length, 2, JSON.stringify(versions));

  damage(destination);
  const verified = agent.run('verify', '--full');
  assert.equal(verified.status, 0, verified.stdout);
  const [found] = verified.value['destinations'] as { storedAgain: number; copied: number; leftCount: number }[];
  assert.deepEqual([found!.storedAgain > 0, found!.copied, found!.leftCount], [true, 0, 0]);
  rmSync(file);
  assert.equal(agent.run('backup').status, 0);

  const wanted = [older, newest].map((content) => {
    const { from, commit } = versions.find(({ sizeBytes }) => sizeBytes === content.length)!;
    return { from, commit, content };
  });
  for (const [place, { from, content }] of wanted.entries()) {
    const to = path.join(agent.folder, `restored ${place}`);
    const restored = agent.run('restore', file, '--at', from, '--to', to);
    assert.equal(restored.status, 0, `${restored.stdout} ${restored.stderr}`);
    assert.ok(content.equals(readFileSync(path.join(to, 'file'))), `restore of ${from}`);
  }
  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  await agent.kill('SIGTERM');
  const archive = path.join(destination, readdirSync(destination)[0]!);
  for (const [place, { commit, content }] of wanted.entries()) {
    const outDir = path.join(agent.folder, `recovered ${place}`);
    const secret = { keyFile: readFileSync(keyFile, 'utf8') };
    const report = await recover({ folder: archive, secret, outDir, at: { commit } });
    assert.deepEqual([report.counts.files, report.counts.lostFiles, report.proven], [1, 0, true]);
    assert.ok(content.equals(readFileSync(path.join(outDir, file))), `recover of commit ${commit}`);
  }
});
