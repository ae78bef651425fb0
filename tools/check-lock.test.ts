import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLock } from './check-lock.ts';

const integrity = 'sha512-x';
const good = {
  '': { dependencies: { pg: '1.2.3' }, optionalDependencies: { bin: '1.0.0-beta.1' } },
  'packages/base': { version: '0.1.0' },
  'node_modules/@holdfast/base': { link: true, resolved: 'packages/base' },
  'node_modules/pg': { version: '1.2.3', integrity, optionalDependencies: { bin: '^1.0.0' } },
  'node_modules/bin': { version: '1.0.0-beta.1', integrity },
};

function problemsOf(changes: Readonly<Record<string, object>>): readonly string[] {
  return checkLock(JSON.stringify({ packages: { ...good, ...changes } }));
}

test('a lock file with exact versions, integrity and every platform has no problem', () => {
  assert.deepEqual(problemsOf({}), []);
});

test('a platform without an entry, an address, a range and a missing integrity are found', () => {
  const named = { version: '1.2.3', integrity, optionalDependencies: { other: '1.0.0' } };
  assert.match(problemsOf({ 'node_modules/pg': named }).join(), /node_modules\/pg: other has no entry/);
  assert.deepEqual(problemsOf({ 'node_modules/pg': { version: '1.2.3' } }), [
    'package-lock.json: node_modules/pg: it has no integrity',
  ]);
  assert.deepEqual(problemsOf({ 'node_modules/pg/node_modules/x': { integrity, resolved: 'https://example.com' } }), [
    'package-lock.json: node_modules/pg/node_modules/x: it names the address it came from',
  ]);
  for (const range of ['^1.2.3', '1', 'latest', '>=1.0.0', '1.2.x'])
    assert.deepEqual(problemsOf({ 'packages/base': { devDependencies: { pg: range } } }), [
      `package-lock.json: packages/base: pg is asked for as ${range}, not as an exact version`,
    ]);
});
