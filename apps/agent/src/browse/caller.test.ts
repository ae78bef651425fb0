import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Row } from '@holdfast/archive';
import { type AccountFiles, callerOf, groupsOf, mayAccess, rights } from './caller.ts';

const agentUid = 0;

function accounts(t: { after(run: () => void): void }, passwd: string, group: string): AccountFiles {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast accounts '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const files = { passwd: join(folder, 'passwd'), group: join(folder, 'group') };
  writeFileSync(files.passwd, passwd);
  writeFileSync(files.group, group);
  return files;
}

const passwd = 'root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nally:x:1000:1000::/:/bin/sh\n';
const group = 'root:x:0:\nalice:x:1000:\nstaff:x:50:bob,alice\nadm:x:4:bob\n';

function row(owner: { mode: number; uid: number; gid: number; user?: string; group?: string }): Row {
  const { user, group: groupName, ...rest } = owner;
  return {
    type: 'file',
    ...rest,
    ...(user !== undefined && { userName: Buffer.from(user) }),
    ...(groupName !== undefined && { groupName: Buffer.from(groupName) }),
  };
}

test('an owner is the caller where the uid is theirs and the name, where one is recorded, too', (t) => {
  const files = accounts(t, passwd, group);
  const caller = callerOf({ uid: 1000, gid: 1000 }, agentUid, files);
  const may = (owner: Parameters<typeof row>[0]) => mayAccess(row(owner), caller, rights.read);
  const mine = { mode: 0o600, uid: 1000, gid: 1000 };
  assert.deepEqual([may({ ...mine, user: 'alice' }), may({ ...mine, user: 'ally' }), may(mine)], [true, true, true]);
  assert.deepEqual([may({ ...mine, user: 'removed' }), may({ ...mine, uid: 1001, user: 'alice' })], [false, false]);
  // A stranger of an old uid is one of all others.
  assert.ok(may({ ...mine, mode: 0o604, user: 'removed', group: 'removed' }));
});

test('a group is one of the caller’s where the gid is theirs and the name, where one is recorded, too', (t) => {
  const files = accounts(t, passwd, group);
  const caller = callerOf({ uid: 1000, gid: 1000 }, agentUid, files);
  const may = (owner: Parameters<typeof row>[0]) => mayAccess(row(owner), caller, rights.read);
  const shared = { mode: 0o640, uid: 0, gid: 50, user: 'root' };
  assert.deepEqual([may({ ...shared, group: 'staff' }), may(shared)], [true, true]);
  assert.deepEqual([may({ ...shared, gid: 1000, group: 'alice' }), may({ ...shared, gid: 4 })], [true, false]);
  assert.deepEqual([may({ ...shared, group: 'pupils' }), may({ ...shared, gid: 1000, group: 'eve' })], [false, false]);
});

test('a caller whom no file names owns what was recorded without names, and nothing with one', (t) => {
  const files = accounts(t, '', '');
  const caller = callerOf({ uid: 4711, gid: 4711 }, agentUid, files);
  assert.deepEqual(groupsOf(4711, files.passwd, files.group), []);
  const mine = { mode: 0o640, uid: 4711, gid: 4711 };
  assert.ok(mayAccess(row(mine), caller, rights.read));
  assert.ok(mayAccess(row({ ...mine, uid: 0 }), caller, rights.read));
  assert.ok(!mayAccess(row({ ...mine, user: 'x', group: 'x' }), caller, rights.read));
  assert.ok(mayAccess(row({ ...mine, user: 'x' }), { ...caller, isPrivileged: true }, rights.read));
});

test('a caller’s home is what passwd(5) says of the uid, and none where it says nothing', (t) => {
  const files = accounts(t, passwd, group);
  const homeOf = (uid: number) => callerOf({ uid, gid: uid }, agentUid, files).home;
  assert.deepEqual(homeOf(1000), Buffer.from('/home/alice'));
  assert.deepEqual(homeOf(0), Buffer.from('/root'));
  assert.equal(homeOf(1001), undefined);
});
