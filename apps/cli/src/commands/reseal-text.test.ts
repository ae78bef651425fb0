import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastResealLines, resealText } from './reseal-text.ts';

const nothing = { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 };
const planned = { dataRecords: 1200, dataBytes: 5 * 1024 * 1024, lists: 1, nodes: 3 };
const done = { dryRun: false, epoch: 2, isAnyOld: true, planned, records: 1200, bytes: 5 * 1024 * 1024, lists: 1 };

test('a dry run says what would be uploaded, and an archive of one epoch that there is nothing', () => {
  const dry = resealText({ dryRun: true, epoch: 2, isAnyOld: true, planned });
  assert.match(dry, /^Nothing has changed\. .*1,200 records of data with at most 5\.0 MiB, one list, 3 nodes/);
  assert.match(resealText({ dryRun: false, epoch: 0, isAnyOld: false }), /there is nothing to seal again/);
});

test('what was done says what is left, what holds a live set up, and that the older records are still there', () => {
  const whole = resealText({ ...done, left: nothing, liveSet: 4 });
  assert.match(whole, /^Sealed again: 1,200 records of data with 5\.0 MiB, one list/);
  assert.match(whole, /^Live set 4 leaves the older records out\.$/m);
  assert.doesNotMatch(whole, /could not be sealed again|What to do/);
  assert.match(whole, /until then old ways in still open them there\. No destination removes them by itself/);
  const left = resealText({ ...done, left: { ...nothing, dataRecords: 1 }, liveSet: 4 });
  assert.match(left, /^one record could not be sealed again.*\n {2}What to do: .*verify --full/m);
  for (const [why, says] of [
    ['away', /^No live set was written: nas is away/m],
    ['branch', /^No live set was written: nas has commits of an earlier life/m],
  ] as const) {
    const held = resealText({ ...done, left: nothing, heldUpBy: { destination: 'nas', why } });
    assert.match(held, says);
    assert.doesNotMatch(held, /leaves the older records out/);
  }
});

test('the list of keys says when the past was sealed again, and what has not come to its end', () => {
  const at = '2026-01-02T03:04:05.678Z';
  assert.match(
    lastResealLines({ epoch: 2, left: 0, at }).join('\n'),
    /^What was written before epoch 2 was sealed again on/,
  );
  assert.match(lastResealLines({ epoch: 2, left: 3, at }).join('\n'), /but for 3 records\. What to do/);
  assert.match(lastResealLines({ begunEpoch: 3 }).join('\n'), /^Sealing again what was written before epoch 3 has not/);
  assert.equal(lastResealLines({ epoch: 2, left: 0, at, begunEpoch: 3 }).length, 2);
});
