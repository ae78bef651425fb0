import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { manualClock } from '@holdfast/base';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { systemBootClock } from './boot-clock.ts';
import { ServerClock } from './server-clock.ts';

const serverStart = Date.UTC(2026, 5, 1);

function receiptAt(ms: number, head = 1) {
  return { jws: `signed ${head}`, claims: { at: new Date(ms).toISOString(), head: { number: head } } };
}

/** A machine whose wall clock began at `wallMs`, and which may be started anew. */
function machine(wallMs: number) {
  const state = { wallMs, bootMs: 5000, bootId: 'first' };
  const wall = { ...manualClock(), now: () => state.wallMs };
  const boot = { read: () => ({ bootMs: state.bootMs, bootId: state.bootId }) };
  return { state, wall, boot };
}

test('before any receipt the wall clock counts, and is not confirmed', () => {
  const { wall, boot } = machine(serverStart - 7000);
  const clock = new ServerClock({ wall, boot });
  assert.deepEqual(clock.read(), { atMs: serverStart - 7000, bootMs: 5000, bootId: 'first', isConfirmed: false });
});

test('after a receipt the time is its own and what has passed since, asleep or not, wherever the wall clock is set', () => {
  const { state, wall, boot } = machine(0);
  const clock = new ServerClock({ wall, boot });
  clock.note(receiptAt(serverStart));
  state.bootMs += 3 * 3600 * 1000;
  state.wallMs = Date.UTC(2036, 0, 1);
  const { atMs, isConfirmed } = clock.read();
  assert.deepEqual([atMs, isConfirmed], [serverStart + 3 * 3600 * 1000, true]);
});

test('an agent that is started again goes on from the receipt it kept; a machine that is started anew has only a floor', (t) => {
  const file = path.join(temporaryFolder(t), 'receipt.json');
  const { state, wall, boot } = machine(0);
  new ServerClock({ wall, boot, file }).note(receiptAt(serverStart));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  state.bootMs += 1000;
  assert.equal(new ServerClock({ wall, boot, file }).read().atMs, serverStart + 1000);
  state.bootId = 'second';
  state.bootMs = 10;
  const anew = new ServerClock({ wall, boot, file });
  state.bootMs += 500;
  assert.deepEqual([anew.read().atMs, anew.read().isConfirmed], [serverStart + 500, false]);
  state.wallMs = serverStart + 60_000;
  assert.equal(anew.read().atMs, serverStart + 60_000, 'a wall clock that is later may be right');
});

test('the receipt of each new head is kept, and a file that is not whole is as none', (t) => {
  const file = path.join(temporaryFolder(t), 'receipt.json');
  const { wall, boot } = machine(serverStart);
  const clock = new ServerClock({ wall, boot, file });
  const kept = () => (JSON.parse(readFileSync(file, 'utf8')) as { jws: string }).jws;
  for (const head of [1, 1, 2]) {
    clock.note(receiptAt(serverStart, head));
    assert.equal(kept(), `signed ${head}`);
  }
  for (const text of ['', '{', '{"version":1}', '[]', `{"version":2,"serverMs":1,"bootMs":1,"bootId":"","jws":""}`]) {
    writeFileSync(file, text);
    assert.equal(new ServerClock({ wall, boot, file }).read().isConfirmed, false, text);
  }
});

test('the clock of the machine goes on by itself, and not back', { skip: process.platform !== 'linux' }, () => {
  const boot = systemBootClock();
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const first = boot.read();
  assert.ok(Math.abs(first.bootMs - uptimeMs) < 5000);
  assert.ok(boot.read().bootMs >= first.bootMs);
  assert.match(first.bootId, /^[0-9a-f-]{36}$/);
});
