import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEntries } from './browse.ts';
import { file, folder, newest, pathsOf, stateOf } from './testing.ts';

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
