import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allRoutes, commonCodes, isBytes, isOpen, nothing, permissions, roleOf } from './index.ts';
import { DisplayName, QueryFlag, queryNumber } from './shapes.ts';

test('every route names a known permission or a reason for being open', () => {
  assert.ok(allRoutes.length > 15);
  for (const { name, route } of allRoutes) {
    if (isOpen(route.permission)) assert.ok(route.permission.open.length > 10, name);
    else assert.ok(permissions.includes(route.permission), name);
  }
});

test('no two routes share an address', () => {
  const addresses = allRoutes.map(({ route }) => `${route.method} ${route.path.replaceAll(/:\w+/g, ':')}`);
  assert.deepEqual(addresses.toSorted(), [...new Set(addresses)].toSorted());
});

test('the parameters of a path are the parameters of its schema', () => {
  for (const { name, route } of allRoutes) {
    const inPath = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1]);
    assert.deepEqual(new Set(inPath), new Set(Object.keys(route.params?.shape ?? {})), name);
  }
});

test('a reply without a body is 204 and only that', () => {
  for (const { name, route } of allRoutes) assert.equal(route.status === 204, route.reply === nothing, name);
});

test('a GET has no body, and every code is a noun and a reason', () => {
  for (const { name, route } of allRoutes) {
    if (route.method === 'GET') assert.equal(route.body, undefined, name);
    for (const { code } of route.errors ?? []) assert.match(code, /^[a-z_]+\.[a-z_]+$/);
    assert.ok(['api', 'storage', 'keystore', 'ingest'].includes(roleOf(route)));
    if (isBytes(route.reply)) assert.match(route.reply.bytes, /\//);
  }
  assert.ok(commonCodes.includes('auth.missing_permission'));
});

test('flags of a query are read in any case and nothing else is a flag', () => {
  for (const [text, value] of [
    ['True', true],
    ['true', true],
    ['FALSE', false],
    ['false', false],
  ] as const)
    assert.equal(QueryFlag.parse(text), value);
  for (const text of ['', '1', 'yes', 'truee']) assert.equal(QueryFlag.safeParse(text).success, false, text);
});

test('numbers of a query are whole and in range', () => {
  const size = queryNumber(1, 100);
  for (const text of ['1', '100', '007']) assert.equal(size.parse(text), Number(text));
  for (const text of ['0', '101', '1e2', '-1', '']) assert.equal(size.safeParse(text).success, false, text);
});

test('a display name has no control characters', () => {
  for (const name of ['Ada', 'Łódź office', '会社', "O'Neill & sons"]) assert.equal(DisplayName.parse(name), name);
  for (const name of ['', 'a\nb', 'a\u0000', 'x'.repeat(201)]) assert.equal(DisplayName.safeParse(name).success, false);
});
