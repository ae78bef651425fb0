import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { allRoutes, isBytes, isOpen, OrgPolicy, problemsInWords } from './index.ts';

const everyKind = z.strictObject({
  name: z.string().min(1).max(5),
  pair: z.array(z.number().int()).min(2).max(3),
  flag: z.boolean(),
  address: z.url(),
  choice: z.enum(['a', 'b']),
  own: z.string().regex(/^x/, 'it must begin with an x'),
  some: z.array(z.string()).min(1),
});
const good = { name: 'n', pair: [1, 2], flag: true, address: 'https://a', choice: 'a', own: 'x', some: ['s'] };

test('each rule that is broken is said in words, with the field it is about', () => {
  const cases = [
    [{ name: '' }, 'name', 'it must not be empty'],
    [{ name: 'abcdef' }, 'name', 'it must be at most 5 characters long'],
    [{ name: 3 }, 'name', 'it must be text'],
    [{ name: undefined }, 'name', 'it is missing: it must be text'],
    [{ choice: undefined }, 'choice', 'it is missing: it must be one of a, b'],
    [{ pair: [1] }, 'pair', 'it must be at least 2 entries long'],
    [{ pair: [1, 1.5] }, 'pair.1', 'it must be a whole number'],
    [{ flag: 'yes' }, 'flag', 'it must be true or false'],
    [{ address: 'x' }, 'address', 'it must be an address such as https://backup.example.org'],
    [{ choice: 'c' }, 'choice', 'it must be one of a, b'],
    [{ own: 'y' }, 'own', 'it must begin with an x'],
    [{ some: [] }, 'some', 'it must name at least one'],
    [{ more: 1 }, '', 'it must not have more'],
  ] as const;
  for (const [change, field, problem] of cases) {
    const value = { ...good, ...change };
    assert.deepEqual(problemsInWords(everyKind.safeParse(value).error!, value), [{ field, problem }]);
  }
  assert.ok(everyKind.safeParse(good).success);
});

/** Values of every wrong type, and texts that are nearly right. */
const wrong = [
  null,
  true,
  -1,
  1.5,
  1e308,
  2 ** 53 + 2,
  [],
  [[]],
  [null],
  {},
  { $ne: null },
  undefined,
  '',
  'x'.repeat(300_000),
  'a',
  '1.5',
  '99999999999',
  '-1',
  'A'.repeat(32),
  'z'.repeat(64),
  'ftp://a',
  '\u0007',
];

test('whatever a route refuses is said in words of ours, never in those of the schema library', () => {
  const told = new Set<string>();
  for (const { name, route } of allRoutes) {
    for (const shape of [route.params, route.query, route.body]) {
      if (!shape || isBytes(shape)) continue;
      const values = wrong.flatMap((value) => [value, ...withField(shape, value)]);
      for (const value of values) collect(name, shape, value, told);
    }
    assert.ok(isOpen(route.permission) || route.permission.length > 0);
  }
  const sets = [{ name: 'a', includes: ['/a'], excludes: [], destinations: [], commitIntervalSeconds: 15 }];
  for (const schedule of [...wrong, { kind: 'window' }, { kind: 'never' }, {}]) {
    collect('policies', OrgPolicy, { settings: { backupSets: [{ ...sets[0], schedule }] }, locked: [] }, told);
  }
  assert.ok(told.size > 15, [...told].join('\n'));
});

function withField(shape: z.ZodType, value: unknown): readonly object[] {
  return shape instanceof z.ZodObject ? Object.keys(shape.shape).map((field) => ({ [field]: value })) : [];
}

function collect(name: string, shape: z.ZodType, value: unknown, told: Set<string>): void {
  const { error } = shape.safeParse(value);
  for (const { field, problem } of error ? problemsInWords(error, value) : []) {
    assert.match(problem, /^it (?:must|is missing: it must)/, `${name}: ${field}: ${problem}`);
    told.add(problem);
  }
}
