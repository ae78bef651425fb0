import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createLog } from './log.ts';
import { SupervisedChild } from './supervised-child.ts';

const lines: string[] = [];
const log = createLog({ level: 'info', destination: { write: (line: string) => void lines.push(line) } });
const program =
  "process.send('ready'); process.on('message', () => process.exit(3)); setInterval(() => undefined, 60_000)";

/** A child whose start fails as often as said, as where the system has no memory for another process. */
function supervised(failures: readonly number[]) {
  let starts = 0;
  const started = new EventTarget();
  const child = new SupervisedChild({
    name: 'child',
    launch: () => {
      if (failures.includes(++starts)) throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
      const launched = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      launched.once('message', () => started.dispatchEvent(Object.assign(new Event('ready'), { launched })));
      return launched;
    },
    log,
    isDone: () => false,
  });
  return { child, started };
}

test('a child that the system lets not begin is tried again, at the first start and at a later one', async () => {
  const { child, started } = supervised([1, 3]);
  const first = once(started, 'ready') as Promise<[{ readonly launched: ChildProcess }]>;
  assert.equal(await child.startAlways(), false);
  const [{ launched }] = await first;
  assert.ok(child.pid !== undefined);
  const again = once(started, 'ready');
  launched.send('end');
  await again;
  assert.ok(child.pid !== undefined && child.pid !== launched.pid);
  assert.equal(lines.filter((line) => line.includes('the child could not be started')).length, 2);
  await child.stop();
  assert.equal(child.pid, undefined);
});

test('where a child is not to be started always, one that the system lets not begin is said', async () => {
  const { child } = supervised([1]);
  assert.equal(await child.start(), false);
  await child.stop();
});
