import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupReport, backupText, isIncomplete } from './backup-report.ts';

const complete: BackupReport = {
  files: 3,
  directories: 2,
  selectedBytes: 30,
  changedNames: 1,
  readBytes: 10,
  newBytes: 10,
  sentBytes: 500,
  problems: [],
  moreProblems: 0,
  missing: [],
  lostDestinations: [],
  standings: [
    { set: 'home', destination: '/mnt/a', state: 'protected', reason: 'all is there' },
    { set: 'home', destination: '/mnt/b', state: 'protected', reason: 'all is there' },
  ],
  sets: ['home', 'docs'],
  leftOut: [],
};
const away = { destination: '/mnt/b', state: 'behind', reason: 'The folder is not there', remedy: 'connect it' };

test('a backup that every destination has says that all is stored', () => {
  assert.match(backupText(complete), /everything is stored/);
  assert.doesNotMatch(backupText(complete), /not at/);
});

test('a destination that does not have it is named once, with the reason and what to do', () => {
  const [first] = complete.standings;
  const text = backupText({
    ...complete,
    standings: [first!, { set: 'home', ...away }, { set: 'docs', ...away }, { set: 'old', ...away, state: 'ended' }],
  });
  assert.deepEqual(
    text.split('\n').filter((line) => line.startsWith('not at')),
    ['not at /mnt/b: The folder is not there; connect it'],
  );
  assert.doesNotMatch(text, /everything is stored/);
});

test('what no destination has makes a backup incomplete; one destination of several that is away does not', () => {
  for (const more of [
    { leftOut: ['docs'] },
    { missing: [{ path: '/home/a' }] },
    { problems: [{ path: '/home/a/x', message: 'no' }] },
    { lostDestinations: ['/mnt/b'] },
  ])
    assert.ok(isIncomplete({ ...complete, ...more }), JSON.stringify(more));
  assert.ok(!isIncomplete(complete));
  assert.ok(!isIncomplete({ ...complete, standings: [complete.standings[0]!, { set: 'home', ...away }] }));
});
