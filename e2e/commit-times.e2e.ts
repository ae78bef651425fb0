import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@holdfast/base';
import { startAgentOf } from './agent-of-device.ts';
import { enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';

const day = 24 * 3600 * 1000;

/** An enrolled agent whose wall clock is wrong by as much as `clock.errorMs` says, beside a server whose clock is right. */
async function startWithWrongClock(t: TestContext, errorMs: number) {
  const running = await startRunningCloud(t);
  const device = await enrollDevice(t, await running.addTenant('home'));
  const clock = { ...systemClock, errorMs, now: () => Date.now() + clock.errorMs };
  const { files, ask } = await startAgentOf(t, device, { clock });
  return { clock, folder: newFolder(t), file: path.join(files, 'file'), ask };
}

type Asking = Awaited<ReturnType<typeof startWithWrongClock>>;

/** Writes, backs up, and returns when that was by the server's clock. */
async function edit({ file, ask }: Asking, content: string): Promise<{ fromMs: number; untilMs: number }> {
  writeFileSync(file, content);
  const fromMs = Date.now();
  await ask('backup');
  return { fromMs, untilMs: Date.now() };
}

async function versionTimes({ file, ask }: Asking): Promise<number[]> {
  const { versions } = (await ask('versions', { path: file })) as unknown as { versions: { from: string }[] };
  return versions.map(({ from }) => Date.parse(from)).toSorted((a, b) => a - b);
}

test('versions carry the time of the server although the wall clock is two days wrong, and is set back under way', async (t) => {
  for (const errorMs of [2 * day, -2 * day]) {
    const asking = await startWithWrongClock(t, errorMs);
    const edits = [await edit(asking, 'one')];
    asking.clock.errorMs -= day;
    edits.push(await edit(asking, 'two'));
    asking.clock.errorMs = 0;
    edits.push(await edit(asking, 'three'));
    const times = await versionTimes(asking);
    assert.equal(times.length, 3);
    for (const [place, { fromMs, untilMs }] of edits.entries()) {
      const at = times[place]!;
      assert.ok(at >= fromMs - 3000 && at <= untilMs + 3000, `version ${place}: ${at - fromMs} ms after its edit`);
    }
    const to = path.join(asking.folder, `restored ${errorMs}`);
    const between = new Date((times[0]! + times[1]!) / 2).toISOString();
    await asking.ask('restore', { paths: [asking.file], to, at: between });
    assert.equal(readFileSync(path.join(to, 'file'), 'utf8'), 'one');
    asking.clock.errorMs = -5 * day;
    const now = path.join(asking.folder, `restored now ${errorMs}`);
    await asking.ask('restore', { paths: [asking.file], to: now, at: 'now' });
    assert.equal(readFileSync(path.join(now, 'file'), 'utf8'), 'three', 'and what is now, the server knows better');
  }
});
