import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFileName } from '../format/map-key.ts';
import { joinPath } from '../backup/bytes.ts';
import { namesOfPath, startsWith, volumeOf } from './plan-paths.ts';

const bytes = (name: string) => new TextEncoder().encode(name);
const name = fc.uint8Array({ minLength: 1, maxLength: 30 }).filter(isFileName);

test('a path gives the names it was joined from', () => {
  fc.assert(
    fc.property(fc.array(name, { maxLength: 20 }), (names) => {
      const path = names.reduce<Uint8Array>((at, each) => joinPath(at, each), bytes('/'));
      assert.deepEqual(
        namesOfPath(path).map((each) => Buffer.from(each)),
        names.map((each) => Buffer.from(each)),
      );
    }),
  );
});

test('only absolute paths of real names are taken', () => {
  for (const path of ['', 'a', 'a/b', '/a//b', '//a', '/a/./b', '/a/../b', '/..', '/a/..', '/a\0b']) {
    assert.throws(() => namesOfPath(bytes(path)), { code: 'restore.invalid_path' }, path);
  }
  for (const path of ['/', '/a', '/a/', '/a/b', '/...', '/a/.b', '/a/..b', '/ ', '/a\nb', '/é'])
    namesOfPath(bytes(path));
});

test('a path belongs to the volume that is mounted deepest above it', () => {
  const volume = (identifier: string, ...mountNames: string[]) => ({
    identifier: bytes(identifier),
    place: { directoryNumber: 1, since: 1 },
    mountNames: mountNames.map(bytes),
  });
  const volumes = [volume('root'), volume('home', 'home'), volume('data', 'home', 'data')];
  const home = (...names: string[]) => {
    const found = volumeOf(volumes, names.map(bytes));
    return (
      found && [
        Buffer.from(found.volume.identifier).toString(),
        found.below.map((each) => Buffer.from(each).toString()),
      ]
    );
  };
  assert.deepEqual(home('etc', 'hosts'), ['root', ['etc', 'hosts']]);
  assert.deepEqual(home('home', 'me'), ['home', ['me']]);
  assert.deepEqual(home('home', 'data', 'x'), ['data', ['x']]);
  assert.deepEqual(home('homes'), ['root', ['homes']]);
  assert.equal(volumeOf([volume('home', 'home')], [bytes('etc')]), undefined);
  assert.ok(startsWith([bytes('a'), bytes('b')], [bytes('a')]));
  assert.ok(!startsWith([bytes('a')], [bytes('a'), bytes('b')]));
});
