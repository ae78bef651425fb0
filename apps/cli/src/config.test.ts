import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { environmentFor, findHome, homeToStart, namedSocket } from './config.ts';

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
