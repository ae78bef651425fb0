import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Teardown } from './teardown.ts';

const never = () => new Promise<void>(() => undefined);

test('parts end in reverse order, each after the one before it has ended, and once', async () => {
  const late: string[] = [];
  const teardown = new Teardown((name) => late.push(name));
  const steps: string[] = [];
  for (const name of ['first', 'second']) {
    teardown.defer(name, async () => {
      steps.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      steps.push(`${name} ends`);
    });
  }
  const outcomes = await Promise.all([teardown.end(), teardown.end()]);
  assert.deepEqual(outcomes[0], { unended: [], errors: [] });
  assert.equal(outcomes[1], outcomes[0]);
  assert.deepEqual(steps, ['second begins', 'second ends', 'first begins', 'first ends']);
  assert.deepEqual(late, []);
});

test(
  'a part that never ends, or throws, is named and keeps no other from being ended',
  { timeout: 10_000 },
  async () => {
    const late: string[] = [];
    const teardown = new Teardown((name) => late.push(name));
    const ended: string[] = [];
    const fault = new Error('a fault');
    const thrown = new Error('thrown at once');
    teardown.defer('the database', async (unended) => void ended.push(`the database, beside ${unended.join()}`));
    teardown.defer('the pool', never, () => 20);
    teardown.defer('the jobs', () => Promise.reject(fault));
    teardown.defer('the socket', () => {
      throw thrown;
    });
    teardown.defer('the requests', never, () => 10);
    teardown.defer('the door', () => void ended.push('the door'));
    const begun = performance.now();
    assert.deepEqual(await teardown.end(), { unended: ['the requests', 'the pool'], errors: [thrown, fault] });
    assert.deepEqual(ended, ['the door', 'the database, beside the requests,the pool']);
    assert.deepEqual(late, ['the requests', 'the pool'], 'said while the others are ended');
    assert.ok(performance.now() - begun < 2_000);
  },
);

test('a part that throws after its time is nobody else’s fault', { timeout: 10_000 }, async (t) => {
  const teardown = new Teardown(() => undefined);
  const late = Promise.withResolvers<void>();
  teardown.defer(
    'slow',
    () => late.promise,
    () => 5,
  );
  const faults: unknown[] = [];
  const note = (error: unknown) => void faults.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  assert.deepEqual((await teardown.end()).unended, ['slow']);
  late.reject(new Error('late'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(faults, []);
});
