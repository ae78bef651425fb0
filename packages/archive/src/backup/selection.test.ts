import assert from 'node:assert/strict';
import test from 'node:test';

import { Selection } from './selection.ts';

function statusOf(pattern: string, path: string): string {
  const excludes = [{ pattern, reason: 'asked for' }];
  return new Selection([{ number: 1, name: 'all', includes: ['/'], excludes }], []).decide(Buffer.from(path)).status;
}

test('an exclusion of many stars is decided in milliseconds for a name that nearly fits', { timeout: 60_000 }, () => {
  const startedAt = performance.now();
  const name = 'a'.repeat(120);
  assert.equal(statusOf('*a*a*a*a*b', `/${name}`), 'selected');
  assert.equal(statusOf('x/**a**a**a**a**b', `/x/${name}`), 'selected');
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs < 1000, `${tookMs} ms`);
});

test('an exclusion without a slash is matched against names, one with a slash at any depth or from the root', () => {
  const excluded = [
    ['*.o', '/src/deep/main.o'],
    ['*cache*', '/home/a/.cache'],
    ['*cache*', '/home/a/.cache/below'],
    ['build?', '/build1/x'],
    ['tmp/*.log', '/var/tmp/a.log'],
    ['tmp/*.log', '/tmp/a.log'],
    ['/var/**/x', '/var/x'],
    ['/var/**/x', '/var/a/b/x'],
    ['/home/*/.cache', '/home/bob/.cache/y'],
    ['/var/lib', '/var/lib/x'],
  ] as const;
  const kept = [
    ['*.o', '/src/main.c'],
    ['*cache*', '/cach/e'],
    ['build?', '/build'],
    ['tmp/*.log', '/tmp/a/b.log'],
    ['tmp/*.log', '/xtmp/a.log'],
    ['/var/**/x', '/srv/var/x'],
    ['/var/**/x', '/var/ax'],
    ['/home/*/.cache', '/home/a/b/.cache'],
    ['/var/lib', '/var/library'],
    ['[a]', '/a'],
  ] as const;
  for (const [pattern, path] of excluded) assert.equal(statusOf(pattern, path), 'excluded', `${pattern} ${path}`);
  for (const [pattern, path] of kept) assert.equal(statusOf(pattern, path), 'selected', `${pattern} ${path}`);
});
