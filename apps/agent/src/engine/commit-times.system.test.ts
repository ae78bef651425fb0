import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type CommitClock, millisecondsOf, timeOfMilliseconds } from '@holdfast/archive';
import { newDevice, type TestDevice } from './testing.ts';

const day = 24 * 3600 * 1000;
const serverStart = Date.UTC(2026, 5, 1);

/** A machine whose wall clock is wrong, and which may hear from a server. */
class Machine {
  readonly device: TestDevice;
  readonly tree: string;
  /** What has passed since the beginning. */
  passedMs = 0;
  wallErrorMs = 0;
  bootId = 'first start';
  bootedAtMs = -1000;
  hasReceipt = false;
  #files = 0;

  constructor(t: TestContext) {
    ({ device: this.device, tree: this.tree } = newDevice(t));
  }

  get serverMs(): number {
    return serverStart + this.passedMs;
  }

  readonly clock: CommitClock = {
    read: () => ({
      // The clock that is never set counts fractions, too.
      atMs: this.hasReceipt ? this.serverMs + 0.4 : this.serverMs + this.wallErrorMs,
      bootMs: this.passedMs - this.bootedAtMs + 0.4,
      bootId: this.bootId,
      isConfirmed: this.hasReceipt,
    }),
  };

  restart(): void {
    this.bootId = `start at ${this.passedMs}`;
    this.bootedAtMs = this.passedMs;
  }

  /** Changes something, and backs it up `afterMs` later. */
  async backup(afterMs: number, isFirstReceipt = false) {
    this.passedMs += afterMs;
    if (isFirstReceipt) this.hasReceipt = true;
    fs.writeFileSync(path.join(this.tree, `${this.#files++}`), 'content');
    return this.device.backup(this.tree, { commitClock: this.clock });
  }

  /** The newest time of each commit, in milliseconds after the server's start. */
  async times(): Promise<ReadonlyMap<number, number>> {
    const times = new Map<number, number>();
    for await (const { number, time } of this.device.state().commits())
      times.set(number, millisecondsOf(time) - serverStart);
    return times;
  }

  checkpointWithNext(): void {
    this.device.index.set('checkpoint.at', 0);
  }
}

test('with a receipt commits bear the time of the server, wherever the wall clock is set', async (t) => {
  const machine = new Machine(t);
  machine.hasReceipt = true;
  const heads = [];
  for (const wallErrorMs of [2 * day, -2 * day, 0]) {
    machine.wallErrorMs = wallErrorMs;
    heads.push((await machine.backup(60_000)).head);
  }
  const times = await machine.times();
  assert.deepEqual(
    heads.map((head) => times.get(head)),
    [60_000, 120_000, 180_000],
  );
});

test('without a receipt the wall clock counts, and the first receipt corrects what it said', async (t) => {
  for (const wallErrorMs of [2 * day, -2 * day]) {
    const machine = new Machine(t);
    machine.wallErrorMs = wallErrorMs;
    const first = (await machine.backup(1000)).head;
    const second = (await machine.backup(60_000)).head;
    assert.equal((await machine.times()).get(second), 61_000 + wallErrorMs);
    // The clock is set in the middle: what came before the step is wrong by another amount.
    machine.wallErrorMs += 3_600_000;
    const third = (await machine.backup(60_000)).head;
    const fourth = (await machine.backup(60_000, true)).head;
    const expected = [1000, 61_000, 121_000, 181_000];
    const heads = [first, second, third, fourth];
    const corrected = await machine.times();
    assert.deepEqual(
      heads.map((head) => corrected.get(head)),
      expected,
    );
    machine.checkpointWithNext();
    await machine.backup(1000);
    assert.ok(machine.device.index.head().checkpoint > fourth, 'all is in the tree now');
    const folded = await machine.times();
    assert.deepEqual(
      heads.map((head) => folded.get(head)),
      expected,
    );
    const at = await machine.device.state().commitAt(timeOfMilliseconds(serverStart + 100_000));
    assert.equal(at, second, '`--at` finds the commit by its corrected time');
    const shown = timeOfMilliseconds(serverStart + expected[3]!);
    assert.equal(await machine.device.state().commitAt(shown), fourth, 'and by the time that is shown');
  }
});

test('a correction comes with a commit of its own where nothing else changes, and only once', async (t) => {
  const machine = new Machine(t);
  machine.wallErrorMs = -5 * day;
  const first = await machine.backup(1000);
  machine.hasReceipt = true;
  const again = await machine.device.backup(machine.tree, { commitClock: machine.clock });
  assert.ok(again.head > first.head);
  assert.equal((await machine.times()).get(first.head), 1000);
  const third = await machine.device.backup(machine.tree, { commitClock: machine.clock });
  assert.equal(third.head, again.head);
});

test('a wall clock that was right needs no correction', async (t) => {
  const machine = new Machine(t);
  machine.wallErrorMs = 400;
  await machine.backup(1000);
  machine.hasReceipt = true;
  const { head } = await machine.device.backup(machine.tree, { commitClock: machine.clock });
  assert.equal((await machine.device.backup(machine.tree, { commitClock: machine.clock })).head, head);
  assert.equal((await machine.times()).get(1), 1400);
});

test('commits of an earlier start are only moved back where they claim to be younger than what came later', async (t) => {
  for (const [wallErrorMs, expected] of [
    [10 * day, 120_000],
    [-10 * day, 60_000 - 10 * day],
  ] as const) {
    const machine = new Machine(t);
    machine.wallErrorMs = wallErrorMs;
    const early = (await machine.backup(60_000)).head;
    machine.restart();
    machine.wallErrorMs = 3000;
    const late = (await machine.backup(60_000)).head;
    await machine.backup(60_000, true);
    const times = await machine.times();
    assert.deepEqual([times.get(early), times.get(late)], [expected, 120_000]);
  }
});

test('a correction whose answer was lost is taken up and not applied again', async (t) => {
  const machine = new Machine(t);
  const { device } = machine;
  machine.wallErrorMs = 2 * day;
  const { head } = await machine.backup(1000);
  machine.hasReceipt = true;
  const append = device.destination.append.bind(device.destination);
  device.destination.append = async (fragment) => {
    await append(fragment);
    throw new Error('the answer is lost');
  };
  await assert.rejects(device.backup(machine.tree, { commitClock: machine.clock }), /the answer is lost/);
  device.destination.append = append;
  const lost = device.index.unacknowledgedCommit();
  assert.ok(lost);
  device.index.acknowledge(lost.number);
  machine.checkpointWithNext();
  await machine.backup(1000);
  assert.equal((await machine.times()).get(head), 1000);
});
