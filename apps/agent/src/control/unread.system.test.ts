import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

type Fields = Readonly<Record<string, unknown>>;

test('what could not be read is counted against the set that selects it, and named to the owner of the agent', () => {
  // Root without the capabilities that pass modes by is like any other user.
  const asRoot = ['--inh-caps=-all', '--bounding-set=-dac_override,-dac_read_search'];
  const drop = process.getuid?.() === 0 ? ['setpriv', ...asRoot] : [];
  const [command, ...args] = [...drop, process.execPath, path.join(import.meta.dirname, 'unread-testing.ts')];
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 240_000 });
  assert.notEqual(stdout, '', stderr);
  const { status, tree, stillClosed, isRead } = JSON.parse(stdout) as Fields & { status: Fields; tree: string };
  const standings = status['standings'] as Fields[];
  const shown = standings.map(({ set, state, reason }) => [set, state, reason]);
  assert.deepEqual(shown, [
    ['home', 'incomplete', '2 entries could not be read'],
    ['other', 'protected', 'everything is stored there'],
  ]);
  assert.equal(status['unreadable'], 2);
  const problems = status['problems'] as Fields[];
  assert.deepEqual(
    problems.map((problem) => String(problem['path'])).toSorted((a, b) => (a < b ? -1 : 1)),
    [`${tree}/closed`, `${tree}/closed file`],
  );
  // What may be read again is read, and counted no more, as soon as it changed.
  assert.deepEqual([stillClosed, isRead], [1, true]);
});
