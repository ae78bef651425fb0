import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { compareTrees } from '../filesystem/compare-trees.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise } from './fixtures.ts';
import type { ChildRestore } from './restore-in-child.ts';
import { RestoringDevice } from './testing.ts';

/** Records that workers may have and not be done with, and one more that is on its way. */
const mostUnderWayBytes = 18 * 1024 * 1024;
const script = decodeURIComponent(new URL('restore-in-child.ts', import.meta.url).pathname);

/** A tree of many small files, some long ones, links, and a sparse file. */
function makeTree(tree: string): void {
  for (let folder = 0; folder < 20; folder++) {
    mkdirSync(`${tree}/folder ${folder}/deep`, { recursive: true });
    for (let file = 0; file < 100; file++) {
      writeFileSync(`${tree}/folder ${folder}/deep/file ${file}`, noise(file * 100, folder * 1000 + file));
    }
    writeFileSync(`${tree}/folder ${folder}/long`, noise(4_000_000, folder));
    symlinkSync('long', `${tree}/folder ${folder}/symlink`);
    linkSync(`${tree}/folder ${folder}/long`, `${tree}/folder ${folder}/deep/long too`);
  }
}

type Run = {
  readonly fetched: Map<string, number>;
  readonly last: string;
  readonly report: string;
  readonly wasKilled: boolean;
};

/** Runs a restore and kills it once it has fetched so many bytes; not at all for Infinity. */
async function runChild(jobPath: string, killAtBytes: number): Promise<Run> {
  const child: ChildProcess = spawn(process.execPath, [script, jobPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const fetched = new Map<string, number>();
  let last = '';
  let report = '';
  let bytes = 0;
  for await (const line of createInterface(child.stdout!)) {
    last = line;
    if (line.startsWith('done')) break;
    if (line.startsWith('report')) {
      report = line;
      continue;
    }
    const [ordinal, length] = line.split(' ');
    fetched.set(ordinal!, Number(length));
    bytes += Number(length);
    if (bytes >= killAtBytes) child.kill('SIGKILL');
  }
  await exited;
  return { fetched, last, report, wasKilled: child.signalCode === 'SIGKILL' };
}

for (const sync of ['batch', 'end'] as const) {
  test(`a restore killed at random moments goes on and fetches nothing again that is on disk, with sync by ${sync}`, async (t) => {
    const device = new RestoringDevice();
    t.after(() => removeTree(device.folder));
    const tree = device.newFolder('tree');
    makeTree(tree);
    await device.backup(tree);
    const planPath = device.newPlanPath();
    const plan = await device.plan(tree, { planPath });
    const total = plan.summary().totalBytes;
    plan.close();
    const recordsPath = `${device.folder}/records`;
    writeFileSync(recordsPath, Buffer.concat([...device.destination.records.values()]));
    const target = device.newFolder('target');
    const { archiveId, ring } = device.keys;
    const epochs = ring.epochs.map(({ number, key }) => ({ number, key: key.toHex() }));
    const job: ChildRestore = { planPath, target, recordsPath, archiveId: archiveId.toHex(), epochs, sync };
    const jobPath = `${device.folder}/job.json`;
    writeFileSync(jobPath, JSON.stringify(job));
    const seen = new Set<string>();
    let kills = 0;
    for (;;) {
      const isLast = kills === 3;
      const run = await runChild(jobPath, isLast ? Infinity : Math.random() * (total / 3));
      let again = 0;
      for (const [ordinal, length] of run.fetched) {
        if (seen.has(ordinal)) again += length;
        seen.add(ordinal);
      }
      assert.ok(again <= mostUnderWayBytes, `${again} bytes were fetched again`);
      if (run.wasKilled) kills++;
      else {
        assert.equal(run.last, `done ${20 * 103} 0 0`, run.report);
        break;
      }
    }
    t.diagnostic(`${kills} kills`);
    assert.ok(kills > 0, 'it was never killed');
    assert.deepEqual(compareTrees(tree, target), []);
    const left = readdirSync(target, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('.holdfast'),
    );
    assert.deepEqual(left, []);
  });
}

test('a restore that is stopped says so, and goes on with the same plan', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  makeTree(tree);
  await device.backup(tree);
  const target = device.newFolder('target');
  const planPath = device.newPlanPath();
  const stop = new AbortController();
  const onProgress = ({ restoredBytes }: { restoredBytes: number }) => restoredBytes > 10_000_000 && stop.abort();
  await assert.rejects(
    device.restore(tree, target, { planPath, onProgress: (now) => void onProgress(now), signal: stop.signal }),
    {
      code: 'restore.stopped',
    },
  );
  assert.notDeepEqual(compareTrees(tree, target), []);
  let fetched = 0;
  const counting = {
    name: 'counting',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals: readonly number[]) {
      for await (const record of device.destination.read(ordinals)) {
        fetched += record.length;
        yield record;
      }
    },
  };
  const report = await device.restore(tree, target, { planPath, destinations: [counting] });
  assert.deepEqual([report.restored, report.failedCount, report.renamedCount], [20 * 103, 0, 0]);
  assert.deepEqual(compareTrees(tree, target), []);
  assert.ok(fetched > 0 && fetched < 85_000_000, `${fetched} bytes were fetched the second time`);
});
