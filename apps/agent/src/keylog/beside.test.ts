import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beside } from './beside.ts';

test('what hangs is not begun again, holds nobody up, and is begun again once it ended', async () => {
  const steps: PromiseWithResolvers<void>[] = [];
  const work = beside(() => {
    const step = Promise.withResolvers<void>();
    steps.push(step);
    return step.promise;
  });
  await work.settle();
  work.start();
  work.start();
  assert.equal(steps.length, 1);
  let isSettled = false;
  const settled = work.settle().then(() => (isSettled = true));
  await new Promise(setImmediate);
  assert.equal(isSettled, false);
  steps[0]!.resolve();
  await settled;
  work.start();
  assert.equal(steps.length, 2);
  steps[1]!.resolve();
  await work.settle();
});
