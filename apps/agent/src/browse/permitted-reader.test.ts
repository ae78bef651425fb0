import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directoryStart, parseFileKey } from '@holdfast/archive';
import { findEntries, listPath, versionsOf } from './browse.ts';
import type { Caller } from './caller.ts';
import { readerFor } from './permitted-reader.ts';
import { file, folder, newest, pathsOf, stateOf } from './testing.ts';

const root = { mode: 0o755, uid: 0, gid: 0 };
const bob = { mode: 0o700, uid: 1000, gid: 1000 };
const alice = userOf(1001);
const bobHimself = userOf(1000);

function userOf(uid: number): Caller {
  return { uid, gid: uid, userNames: new Set(), groups: new Map([[uid, new Set()]]), isPrivileged: false };
}

const at = (path: string) => Buffer.from(path);

/** Bob's home, open or not; a disk mounted in it that is open to all, one in that disk, and one beside them. */
function mountedState(home: typeof bob, isSameMount = false) {
  return stateOf([
    ...folder(0, 'disk', 1, { ...root, mountPoint: at('/') }),
    ...folder(1, 'home', 2, root),
    ...folder(2, 'bob', 3, home),
    file(3, 'plain', { ...root, mode: 0o644 }),
    ...folder(0, 'stick', 4, { ...root, mountPoint: at('/home/bob/vault') }),
    file(4, 'diary.txt', { ...root, mode: 0o644 }),
    ...folder(4, 'deep', 7, root),
    ...folder(0, 'zip', 5, { ...root, mountPoint: at(isSameMount ? '/home/bob/vault' : '/home/bob/vault/deep/inner') }),
    file(5, 'inner.txt', { ...root, mode: 0o644 }),
    ...folder(0, 'usb', 6, { ...root, mountPoint: at('/srv') }),
    file(6, 'public.txt', { ...root, mode: 0o644 }),
  ]);
}

test('a volume mounted below a private folder does not exist for others', async () => {
  const state = mountedState(bob);
  const reader = readerFor(state, alice);
  for (const path of [
    '/home/bob/vault',
    '/home/bob/vault/diary.txt',
    '/home/bob/vault/deep/inner',
    '/home/bob/plain',
  ]) {
    await assert.rejects(pathsOf(listPath(reader, at(path), newest(reader))), { code: 'browse.not_found' }, path);
    await assert.rejects(versionsOf(state, reader, at(path)), { code: 'browse.never_there' }, path);
  }
  assert.deepEqual(await pathsOf(listPath(reader, at('/'), newest(reader))), ['/home', '/srv']);
  assert.deepEqual(await pathsOf(findEntries(reader, '*.txt', newest(reader))), ['/srv/public.txt']);
  assert.equal(await reader.lookup([at('stick'), at('diary.txt')], 1), undefined);
});

test('a volume mounted below a private folder is there for its owner, and for all where the folder may be passed', async () => {
  const found = ['/home/bob/vault/deep/inner/inner.txt', '/home/bob/vault/diary.txt', '/srv/public.txt'];
  for (const [caller, home] of [
    [bobHimself, bob],
    [alice, { ...bob, mode: 0o711 }],
  ] as const) {
    const state = mountedState(home);
    const reader = readerFor(state, caller);
    assert.deepEqual(await pathsOf(findEntries(reader, '*.txt', newest(reader))), found);
    assert.equal((await versionsOf(state, reader, at('/home/bob/vault/diary.txt'))).length, 1);
    assert.deepEqual(await pathsOf(listPath(reader, at('/home/bob/vault/deep/inner'), newest(reader))), [
      '/home/bob/vault/deep/inner/inner.txt',
    ]);
  }
});

test('a volume whose place another one has taken is as private as that place', async () => {
  const state = mountedState(bob, true);
  assert.deepEqual(await pathsOf(findEntries(readerFor(state, alice), '*.txt', newest(state))), ['/srv/public.txt']);
  assert.deepEqual(await pathsOf(findEntries(readerFor(state, bobHimself), '*.txt', newest(state))), [
    '/home/bob/vault/diary.txt',
    '/srv/public.txt',
    '/zip/inner.txt',
  ]);
});

test('what was deleted in a folder while it was private stays hidden when the folder is opened', async () => {
  const open = { ...bob, mode: 0o755 };
  const readable = { ...root, mode: 0o644 };
  const gone = { type: 'absent', absence: 'gone' } as const;
  const state = stateOf(
    [
      ...folder(0, 'disk', 1, { ...root, mountPoint: at('/') }),
      ...folder(1, 'home', 2, root),
      ...folder(2, 'bob', 3, bob),
      ...folder(3, 'papers', 4, root),
      ...['secret', 'kept', 'later'].map((name) => file(3, name, readable)),
      ...['secret', 'kept', 'later'].map((name) => file(4, name, readable)),
    ],
    [
      [3, 'secret', gone],
      [4, 'secret', gone],
    ],
    folder(2, 'bob', 3, open).slice(1),
    [
      [3, 'later', gone],
      [4, 'later', gone],
    ],
  );
  const listed = async (caller: Caller, path: string) =>
    pathsOf(listPath(readerFor(state, caller), at(path), { commit: state.head, deleted: true }));
  const below = (path: string, names: readonly string[]) => names.map((name) => `${path}/${name}`);
  assert.deepEqual(await listed(alice, '/home/bob'), below('/home/bob', ['kept', 'later', 'papers']));
  assert.deepEqual(await listed(alice, '/home/bob/papers'), below('/home/bob/papers', ['kept', 'later']));
  assert.deepEqual(await listed(bobHimself, '/home/bob'), below('/home/bob', ['kept', 'later', 'papers', 'secret']));
  const papers = below('/home/bob/papers', ['kept', 'later', 'secret']);
  assert.deepEqual(await listed(bobHimself, '/home/bob/papers'), papers);
});

test('what was stored of a long file whose reading goes on is nowhere, for its owner and for others', async () => {
  const half = [3, 'half.iso', { type: 'partial', ...bob }] as const;
  const state = stateOf([
    ...folder(0, 'disk', 1, { ...root, mountPoint: at('/') }),
    ...folder(1, 'srv', 3, root),
    file(3, 'seen', { ...root, mode: 0o644 }),
    half,
  ]);
  for (const caller of [alice, bobHimself]) {
    const reader = readerFor(state, caller);
    const rows = await Array.fromAsync(reader.range(directoryStart(3), directoryStart(4)));
    assert.deepEqual(rows.map(({ key }) => Buffer.from(parseFileKey(key).name).toString()).toSorted(), ['', 'seen']);
    assert.deepEqual(await pathsOf(listPath(reader, at('/srv'), newest(reader))), ['/srv/seen']);
    await assert.rejects(versionsOf(state, reader, at('/srv/half.iso')), { code: 'browse.never_there' });
  }
});

test('finding learns names only where folders may be listed, and begins where the user names a folder or lives', async () => {
  const passable = { ...root, mode: 0o711 };
  const readable = { ...bob, mode: 0o644 };
  const state = stateOf([
    ...folder(0, 'disk', 1, { ...root, mountPoint: at('/') }),
    file(1, 'root.txt', { ...root, mode: 0o644 }),
    ...folder(1, 'home', 2, passable),
    ...folder(2, 'alice', 3, { mode: 0o700, uid: 1001, gid: 1001 }),
    file(3, 'own.txt', { mode: 0o600, uid: 1001, gid: 1001 }),
    ...folder(2, 'bob', 4, { ...bob, mode: 0o711 }),
    file(4, 'told.txt', readable),
    file(4, 'private.txt', bob),
    ...folder(4, 'shared', 5, { ...bob, mode: 0o755 }),
    file(5, 'shared.txt', readable),
    ...folder(2, 'shut', 6, bob),
    file(6, 'readable.txt', readable),
    ...folder(0, 'stick', 7, { ...root, mountPoint: at('/home/bob/stick') }),
    file(7, 'stick.txt', { ...root, mode: 0o644 }),
  ]);
  const found = (caller: Caller, pattern: string, home?: string) => {
    const reader = readerFor(state, caller);
    return pathsOf(findEntries(reader, pattern, { ...newest(reader), ...(home !== undefined && { home: at(home) }) }));
  };
  const anywhere = ['/home/bob/stick/stick.txt', '/root.txt'];
  const cases: readonly (readonly [pattern: string, home: string | undefined, paths: readonly string[]])[] = [
    ['*.txt', undefined, anywhere],
    ['*.txt', '/home/alice', ['/home/alice/own.txt', ...anywhere]],
    ['alice/*.txt', '/home/alice', ['/home/alice/own.txt']],
    // Of somebody else's folder that may not be listed no name is learnt, whatever is said to be home.
    ['*.txt', '/home/bob', anywhere],
    ['*.txt', '/home/shut', anywhere],
    ['*.txt', '/', anywhere],
    ['*.txt', 'no path', anywhere],
    ['/home/*/own.txt', undefined, []],
    ['/**/own.txt', undefined, []],
    ['/home/alice/*', undefined, ['/home/alice/own.txt']],
    ['/home/alice/**', undefined, ['/home/alice/own.txt']],
    ['/home/alice/own.txt', undefined, ['/home/alice/own.txt']],
    ['/home/bob/*.txt', undefined, []],
    ['/home/bob/**', undefined, ['/home/bob/stick/stick.txt']],
    ['/home/bob/shared/*', undefined, ['/home/bob/shared/shared.txt']],
    // What is readable and named is found, as `ls` and `versions` find it.
    ['/home/bob/told.txt', undefined, ['/home/bob/told.txt']],
    ['/home/bob/private.txt', undefined, []],
    ['/home/shut/readable.txt', undefined, []],
    ['/home/shut/*', undefined, []],
    ['/home/no such folder/*', undefined, []],
    ['/home//bob/*', undefined, []],
  ];
  for (const [pattern, home, paths] of cases) {
    assert.deepEqual(await found(alice, pattern, home), paths.toSorted(), `${pattern} ${home ?? ''}`);
  }
  const everything = ['/home/alice/own.txt', '/home/bob/private.txt', '/home/bob/shared/shared.txt', ...anywhere];
  const all = [...everything, '/home/bob/told.txt', '/home/shut/readable.txt'].toSorted();
  assert.deepEqual(await found({ ...alice, isPrivileged: true }, '*.txt'), all);
  assert.deepEqual(await found({ ...alice, isPrivileged: true }, '/home/bob/told.txt'), ['/home/bob/told.txt']);
  assert.deepEqual(await found({ ...alice, isPrivileged: true }, '/**.txt'), all);
});
