import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurns, MOST_OF_TENANT, MOST_WAITING } from './turns.ts';

/** Work that goes on until it is told to end. */
function holder() {
  const held = Promise.withResolvers<void>();
  let hasBegun = false;
  const work = () => {
    hasBegun = true;
    return held.promise;
  };
  return { work, end: () => held.resolve(), fail: (error: Error) => held.reject(error), hasBegun: () => hasBegun };
}

test('of one tenant so much is done at once, so much waits, and the rest comes again; another tenant is not kept waiting', async () => {
  const inTurn = createTurns();
  const works = Array.from({ length: MOST_OF_TENANT + MOST_WAITING }, holder);
  const done = works.map(({ work }) => inTurn('one', work));
  assert.equal(works.filter(({ hasBegun }) => hasBegun()).length, MOST_OF_TENANT);
  await assert.rejects(
    inTurn('one', () => Promise.resolve()),
    { code: 'keystore.busy', kind: 'unavailable' },
  );
  assert.equal(await inTurn('other', () => Promise.resolve('at once')), 'at once');
  for (const [place, work] of works.entries()) {
    assert.ok(work.hasBegun(), `${place} has its turn when one before it ended`);
    work.end();
    await done[place];
  }
  assert.equal(await inTurn('one', () => Promise.resolve('again')), 'again');
});

test('work that fails gives its turn on', async () => {
  const inTurn = createTurns();
  const works = Array.from({ length: MOST_OF_TENANT + 1 }, holder);
  const done = works.map(({ work }) => inTurn('one', work));
  works[0]?.fail(new Error('it failed'));
  await assert.rejects(done[0]!, { message: 'it failed' });
  assert.ok(works.at(-1)?.hasBegun());
  for (const { end } of works.slice(1)) end();
  await Promise.all(done.slice(1));
});
