import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Selection } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import { AgentDatabase } from '../state/agent-database.ts';
import { definitionOf, parseBackupSet, selectedSet } from './backup-set.ts';
import { defaultSet, homeFolders } from './default-set.ts';

const never = [{ pattern: '/home/anna/.holdfast', reason: "Holdfast's own state" }];
const good = { name: 'work', includes: ['/home/anna/papers'], excludes: [], commitIntervalSeconds: 15 };

test('a set that cannot be is refused with the field, and its neighbours are accepted', () => {
  const refused: readonly (readonly [unknown, string, string])[] = [
    [{ ...good, includes: ['work'] }, 'sets.path_relative', 'includes.0'],
    [{ ...good, includes: ['/a', './b'] }, 'sets.path_relative', 'includes.1'],
    [{ ...good, includes: [] }, 'sets.invalid', 'includes'],
    [{ ...good, includes: ['/a\0b'] }, 'sets.invalid', 'includes.0'],
    [{ ...good, includes: ['/home/anna/.holdfast'] }, 'sets.path_protects_holdfast', 'includes.0'],
    [{ ...good, includes: ['/home/anna/x/../.holdfast/agent/'] }, 'sets.path_protects_holdfast', 'includes.0'],
    [{ ...good, name: '' }, 'sets.invalid', 'name'],
    [{ ...good, name: ' x' }, 'sets.invalid', 'name'],
    [{ ...good, name: 'a\nb' }, 'sets.invalid', 'name'],
    [{ ...good, commitIntervalSeconds: 14 }, 'sets.invalid', 'commitIntervalSeconds'],
    [{ ...good, commitIntervalSeconds: 901 }, 'sets.invalid', 'commitIntervalSeconds'],
    [{ ...good, excludes: [{ pattern: 'x' }] }, 'sets.invalid', 'excludes.0.reason'],
    [{ ...good, pausedBetween: { fromMinute: 0, toMinute: 1440 } }, 'sets.invalid', 'pausedBetween.toMinute'],
    [{ ...good, more: 1 }, 'sets.invalid', 'set'],
    [null, 'sets.invalid', 'set'],
    ['text', 'sets.invalid', 'set'],
  ];
  for (const [input, code, field] of refused) {
    assert.throws(
      () => parseBackupSet(input, never),
      (error) => error instanceof CodedError && error.code === code && error.details['field'] === field,
      JSON.stringify(input),
    );
  }
  const accepted: readonly unknown[] = [
    good,
    { ...good, includes: ['/'] },
    { ...good, includes: ['/home/anna'] },
    { ...good, includes: ['/home/anna/.holdfast-notes'] },
    { ...good, includes: ['/home/anna//papers/./', '/home/anna/papers'] },
    { ...good, name: 'Ärger & Söhne 2' },
    { ...good, commitIntervalSeconds: 900 },
    { ...good, excludes: [{ pattern: '*.o', reason: '' }] },
    { ...good, pausedBetween: { fromMinute: 1320, toMinute: 360 } },
  ];
  for (const input of accepted) assert.ok(parseBackupSet(input, never));
  assert.deepEqual(parseBackupSet({ ...good, includes: ['/a//b/../c/', '/a/c'] }, never).includes, ['/a/c']);
});

test('the definition of a set is the same text whatever order its fields come in', () => {
  const set = { ...parseBackupSet(good, never), number: 3 };
  const turned = Object.fromEntries(Object.entries(set).toReversed()) as typeof set;
  assert.equal(definitionOf(set), definitionOf(turned));
  assert.deepEqual(JSON.parse(definitionOf(set)), {
    includes: good.includes,
    excludes: [],
    commitIntervalSeconds: 15,
  });
});

test('by default version control, databases, hidden files and disk images are protected, and caches are not', () => {
  const set = { ...defaultSet(['/home']), number: 1 };
  const selection = new Selection([selectedSet(set)], []);
  const statusOf = (file: string) => selection.decide(Buffer.from(file)).status;
  for (const file of [
    '.git/config',
    'db.sqlite',
    'db.sqlite-wal',
    '.ssh/id_ed25519',
    'vm.qcow2',
    '.mozilla/firefox/x/places.sqlite',
    'node_modules/a/index.js',
    'cached',
    'mail.pst',
    'a.iso',
    'x.tmp',
  ]) {
    assert.equal(statusOf(`/home/anna/${file}`), 'selected', file);
  }
  for (const file of ['.cache/x', '.local/share/Trash/files/x', 'film.crdownload', '.Trash-1000/x']) {
    assert.equal(statusOf(`/home/anna/${file}`), 'excluded', file);
  }
  for (const { reason } of set.excludes) assert.notEqual(reason, '');
});

test('the home folder of an ordinary user is the one passwd names', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast sets '));
  t.after(() => rmSync(folder, { recursive: true }));
  const passwd = path.join(folder, 'passwd');
  writeFileSync(
    passwd,
    'root:x:0:0::/root:/bin/sh\nanna:x:1000:1000:Anna:/home/anna:/bin/sh\nodd:x:1001:1001::/:/bin/sh\n',
  );
  assert.deepEqual(homeFolders(1000, passwd), ['/home/anna']);
  assert.deepEqual(homeFolders(0, passwd), ['/home', '/root']);
  assert.deepEqual(homeFolders(1001, passwd), ['/home']);
});

test('sets and destinations are still there when the state is opened again, and two agents cannot open it at once', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast sets '));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'agent.db');
  const first = new AgentDatabase(file);
  const set = first.addSet(parseBackupSet(good, never));
  const gone = first.addSet({ ...parseBackupSet(good, never), name: 'gone' });
  first.removeSet(gone.number);
  const { destinationId } = first.addDestination({ kind: 'folder', name: '/mnt/a', folder: '/mnt/a' });
  first.setComplete(set.number, destinationId, 1234.5);
  assert.throws(
    () => new AgentDatabase(file),
    (error) => error instanceof CodedError && error.code === 'state.in_use',
  );
  first.close();
  const second = new AgentDatabase(file);
  t.after(() => second.close());
  assert.deepEqual(second.sets(), [set]);
  assert.deepEqual(second.destinations(), [{ destinationId, kind: 'folder', name: '/mnt/a', folder: '/mnt/a' }]);
  assert.deepEqual(second.standings(), [{ setNumber: set.number, destinationId, completeAtMs: 1235 }]);
  assert.notEqual(second.addSet({ ...parseBackupSet(good, never), name: 'new' }).number, gone.number);
});
