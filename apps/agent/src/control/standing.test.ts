import assert from 'node:assert/strict';
import { test } from 'node:test';
import { destinationErrors } from '../destinations/errors.ts';
import { protectionErrors } from '../schedule/errors.ts';
import { judgeStanding, type StandingFacts } from './standing.ts';

const set = { number: 1, name: 'home', includes: ['/home'], excludes: [], commitIntervalSeconds: 15 };
const fine: StandingFacts = {
  set,
  destination: { status: 'ready' },
  isBound: true,
  hasGap: false,
  view: {
    activity: 'idle',
    progress: undefined,
    isEverComplete: true,
    hasChanges: false,
    watchedDirectories: 1,
    unwatchedDirectories: 0,
    missing: [],
    problems: [],
    moreProblems: 0,
    failure: undefined,
    wholeAtMs: 1,
  },
  unreadEntries: 0,
  isToldPaths: true,
  completeAtMs: 1,
  minute: 600,
  damage: undefined,
};

test('a set is protected only when nothing speaks against it, and each state has a reason', () => {
  const view = fine.view;
  const paused = { ...set, pausedBetween: { fromMinute: 540, toMinute: 660 } };
  const cases: readonly (readonly [Partial<StandingFacts>, string])[] = [
    [{}, 'protected'],
    [{ destination: undefined }, 'failed'],
    [{ destination: { status: 'failed', error: destinationErrors.branched() } }, 'failed'],
    [{ destination: { status: 'away', error: destinationErrors.away() } }, 'behind'],
    [{ destination: { status: 'catching_up', copiedBytes: 5 } }, 'behind'],
    [{ hasGap: true }, 'behind'],
    [{ isBound: false }, 'ended'],
    [{ isBound: false, destination: { status: 'away', error: destinationErrors.away() } }, 'ended'],
    [{ view: { ...view, failure: protectionErrors.fault() } }, 'failed'],
    [{ view: { ...view, missing: [{ path: Buffer.from('/home'), reason: 'missing' }] } }, 'incomplete'],
    [{ view: { ...view, missing: [{ path: Buffer.from('/other'), reason: 'missing' }] } }, 'protected'],
    [{ unreadEntries: 1 }, 'incomplete'],
    [{ unreadEntries: 2, isToldPaths: false }, 'incomplete'],
    // Whose those are that are not listed any more is not known.
    [{ view: { ...view, moreProblems: 1 } }, 'incomplete'],
    // Of another set.
    [
      { view: { ...view, problems: [{ path: Buffer.from('/other/x'), code: 'files.io_failed', message: '' }] } },
      'protected',
    ],
    [{ view: { ...view, hasChanges: true } }, 'backing_up'],
    [{ view: { ...view, activity: 'looking' } }, 'backing_up'],
    [{ view: { ...view, isEverComplete: false } }, 'backing_up'],
    [{ completeAtMs: undefined }, 'backing_up'],
    [{ set: paused, view: { ...view, hasChanges: true } }, 'paused'],
    [{ set: paused }, 'protected'],
    [{ damage: { atMs: 1, count: 1, records: [], altered: [] } }, 'incomplete'],
  ];
  for (const [changed, state] of cases) {
    const judgement = judgeStanding({ ...fine, ...changed });
    assert.equal(judgement.state, state, JSON.stringify(changed));
    assert.notEqual(judgement.reason, '');
    if (state === 'failed' || state === 'incomplete') assert.ok(judgement.remedy, JSON.stringify(changed));
  }
});
