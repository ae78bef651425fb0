import assert from 'node:assert/strict';
import { chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { environmentFor, findHome, homeToStart, namedSocket } from './config.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';

test('the state folder is the named one, else the nearest above', (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'holdfast home '));
  t.after(() => rmSync(root, { recursive: true }));
  const deep = path.join(root, 'a', 'b');
  mkdirSync(deep, { recursive: true });
  assert.equal(findHome(deep, {}), undefined);
  mkdirSync(path.join(root, '.holdfast'));
  assert.equal(findHome(deep, {}), path.join(root, '.holdfast'));
  mkdirSync(path.join(root, 'a', '.holdfast'));
  assert.equal(findHome(deep, {}), path.join(root, 'a', '.holdfast'));
  assert.equal(findHome(deep, { HOLDFAST_HOME: '../x' }), path.join(root, 'a', 'x'));
  assert.equal(homeToStart(deep, {}), path.join(deep, '.holdfast'));
  assert.equal(homeToStart(deep, { HOLDFAST_HOME: '/y' }), '/y');
});

test("a state folder found above is passed over where it is another user's", { skip: needsRoot }, (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'holdfast home '));
  t.after(() => rmSync(root, { recursive: true }));
  const [near, far] = [path.join(root, 'a', '.holdfast'), path.join(root, '.holdfast')];
  for (const folder of [near, far]) mkdirSync(folder, { recursive: true });
  const found = (env = {}) => findHome(path.join(root, 'a', 'b'), env);
  assert.equal(found(), near);
  chownSync(near, 1234, 1234);
  assert.equal(found(), far);
  assert.equal(found({ SUDO_UID: '1234' }), near, 'root works for whoever called sudo');
  assert.equal(found({ SUDO_UID: '1235' }), far);
  assert.equal(found({ HOLDFAST_HOME: near }), near, 'whoever names one means it');
  rmSync(near, { recursive: true });
  symlinkSync(far, near);
  assert.equal(found(), near);
  lchownSync(near, 1234, 1234);
  assert.equal(found(), far);
  lchownSync(near, 0, 0);
  chownSync(far, 1234, 1234);
  assert.equal(found(), undefined);
});

test('the port asked for comes before HOLDFAST_LISTEN, and that before the port of the last time', () => {
  const listen = (ports: { asked?: number; before?: number }, env = {}) =>
    environmentFor('/h', ports, env)['HOLDFAST_LISTEN'];
  assert.equal(listen({}), undefined);
  assert.equal(listen({ before: 9001 }), '127.0.0.1:9001');
  assert.equal(listen({ asked: 9000, before: 9001 }), '127.0.0.1:9000');
  assert.equal(listen({ before: 9001 }, { HOLDFAST_LISTEN: '0.0.0.0:443' }), '0.0.0.0:443');
  assert.equal(listen({ asked: 9000 }, { HOLDFAST_LISTEN: '0.0.0.0:443' }), '127.0.0.1:9000');
});

test('HOLDFAST_SOCKET names the socket of an agent, and not that of the agent of up', () => {
  assert.equal(namedSocket('/here', {}), undefined);
  assert.equal(namedSocket('/here', { HOLDFAST_SOCKET: '' }), undefined);
  assert.equal(namedSocket('/here', { HOLDFAST_SOCKET: 'a.sock' }), '/here/a.sock');
  assert.equal(environmentFor('/h', {}, { HOLDFAST_SOCKET: '/a.sock' })['HOLDFAST_SOCKET'], undefined);
});
