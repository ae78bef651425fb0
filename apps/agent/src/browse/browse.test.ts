import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEntries, momentAt, versionsOf } from './browse.ts';
import type { Row } from '@holdfast/archive';
import { file, folder, newest, pathsOf, stateOf, type TestRow } from './testing.ts';

const owner = { mode: 0o755, uid: 0, gid: 0 };

test('finding by many stars takes milliseconds for a name that nearly fits', { timeout: 60_000 }, async () => {
  const name = 'a'.repeat(120);
  const state = stateOf([...folder(0, 'disk', 1, { ...owner, mountPoint: Buffer.from('/') }), file(1, name, owner)]);
  const startedAt = performance.now();
  assert.deepEqual(await pathsOf(findEntries(state, '*a*a*a*a*b', newest(state))), []);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs < 1000, `${tookMs} ms`);
  assert.deepEqual(await pathsOf(findEntries(state, '*a*a*a*a*', newest(state))), [`/${name}`]);
});

test('a pattern without a slash finds names, one with a slash finds paths', async () => {
  const state = stateOf([
    ...folder(0, 'disk', 1, { ...owner, mountPoint: Buffer.from('/') }),
    ...folder(1, 'src', 2, owner),
    ...folder(2, 'deep', 3, owner),
    file(1, 'main.c', owner),
    file(2, 'main.c', owner),
    file(3, 'main.o', owner),
  ]);
  const found = (pattern: string) => pathsOf(findEntries(state, pattern, newest(state)));
  assert.deepEqual(await found('*.c'), ['/main.c', '/src/main.c']);
  assert.deepEqual(await found('main.?'), ['/main.c', '/src/deep/main.o', '/src/main.c']);
  assert.deepEqual(await found('src/*.c'), ['/src/main.c']);
  assert.deepEqual(await found('/*.c'), ['/main.c']);
  assert.deepEqual(await found('/src/**'), ['/src/deep', '/src/deep/main.o', '/src/main.c']);
  assert.deepEqual(await found('src/**/main.*'), ['/src/deep/main.o', '/src/main.c']);
});

test('finding ends, and finds each thing once, where a directory holds itself', async () => {
  const state = stateOf([
    ...folder(0, 'disk', 1, { ...owner, mountPoint: Buffer.from('/') }),
    [1, 'again', { type: 'directory', directoryNumber: 1, since: 1 }],
    ...folder(1, 'below', 2, owner),
    [2, 'up', { type: 'directory', directoryNumber: 1, since: 1 }],
    file(2, 'file.txt', owner),
  ]);
  const found: string[] = [];
  for await (const { path } of findEntries(state, '?*', newest(state))) {
    found.push(path);
    assert.ok(found.length < 100, 'the walk goes round');
  }
  assert.deepEqual(found.toSorted(), ['/again', '/below', '/below/file.txt', '/below/up']);
});

test('a time that has not come is refused, a day or minute that has begun is not', async () => {
  const state = stateOf([...folder(0, 'disk', 1, { ...owner, mountPoint: Buffer.from('/') })], [file(1, 'a', owner)]);
  const nowMs = new Date(2026, 2, 15, 12, 30, 45).getTime();
  for (const at of ['now', '2026-03-15', 'today', '12:30', '12:30:45', '1 second ago', undefined]) {
    assert.equal((await momentAt(state, at, nowMs)).commit, 2, String(at));
  }
  for (const at of ['2026-03-16', '12:31', '12:30:46', '2027-01-01T00:00:00Z', '9999-12-31', 'today 23:00']) {
    await assert.rejects(momentAt(state, at, nowMs), { code: 'time.future' }, at);
  }
  // The newest commit bears a minute that this clock has not come to.
  assert.equal((await momentAt(state, '1970-01-01T00:01:30Z', 1000)).commit, 1);
  await assert.rejects(momentAt(state, '1970-01-01T00:02:30Z', 1000), { code: 'time.future' });
});

test('versions say what differs from the one before, and what was only recorded anew is none', async () => {
  const sha256 = (byte: number) => new Uint8Array(32).fill(byte);
  const version = (ordinal: number, byte: number, more: Partial<Row> = {}) => {
    const extents = [{ ordinal, offset: 0, length: 5, sha256: sha256(byte) }];
    const streams = [{ kind: 'content', size: 5, extents }] as const;
    return [[1, 'a', { type: 'file', ...owner, streams, ...more }] satisfies TestRow];
  };
  const at = (seconds: number) => ({ seconds, nanoseconds: 0 });
  const state = stateOf(
    folder(0, 'disk', 1, { ...owner, mountPoint: Buffer.from('/') }),
    version(7, 1),
    version(8, 2, { changedAt: at(1) }),
    version(9, 2, { changedAt: at(1) }),
    version(9, 2, { changedAt: at(2) }),
    version(9, 2, { changedAt: at(3), mode: 0o600 }),
    version(9, 2, { changedAt: at(4), mode: 0o600, uid: 5, modifiedAt: at(9) }),
    [[1, 'a', { type: 'absent', absence: 'gone' }]],
    version(9, 2),
  );
  const changed = (await versionsOf(state, state, Buffer.from('/a'))).map((each) => each.changed);
  const expected = [['content'], ['status'], ['mode'], ['modified', 'owner']];
  assert.deepEqual(changed, [undefined, ...expected, undefined]);
});
