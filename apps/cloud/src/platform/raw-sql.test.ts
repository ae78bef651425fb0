import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const sourceFolder = path.join(import.meta.dirname, '..');
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/** Ways to put text into a statement that is not a bound value. */
const unbound: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['Kysely raw text', /\bsql\s*\.\s*(?:raw|lit|literal|id|ref|table|join)\b|\bsql\s*\[/],
  ['a compiled query from text', /\bCompiledQuery\b|\bexecuteQuery\b/],
  ['a template handed to query', /\.query\s*(?:<[^>]*>)?\s*\(\s*`[^`]*\$\{/],
  ['text put together for query', /\.query\s*(?:<[^>]*>)?\s*\(\s*(?:['"`][^'"`]*['"`]\s*\+|\w+\s*\+)/],
  ['a nested template in sql', /\bsql\s*(?:<[^>]*>)?\s*`[^`]*\$\{[^}]*(?:`|\+)/],
];

/** What a text would slip past binding with; empty when nothing. */
function findUnbound(source: string): readonly string[] {
  const code = source.replaceAll(comments, '');
  return unbound.filter(([, pattern]) => pattern.test(code)).map(([what]) => what);
}

test('no statement of the server is made of anything but fixed text and bound values', () => {
  const files = globSync('**/*.ts', { cwd: sourceFolder }).filter(
    (name) => !/\.test\.ts$|(^|\/)testing(\/|\.ts$)/.test(name),
  );
  assert.ok(files.length > 40);
  assert.ok(files.some((name) => readFileSync(path.join(sourceFolder, name), 'utf8').includes('sql<')));
  for (const name of files) {
    const found = findUnbound(readFileSync(path.join(sourceFolder, name), 'utf8'));
    assert.deepEqual(found, [], name);
  }
});

test('each way to slip past binding is caught, and the bound form of it is not', () => {
  const pairs: readonly (readonly [caught: string, accepted: string])[] = [
    ["sql.raw('x')", 'sql`select ${id}`'],
    ['sql`${sql.ref(name)}`', 'sql<{ a: string }>`select a from t where b = ${b} and c = ${c}`'],
    ['sql.lit(value)', "query.where('a', '=', literal)"],
    ["sql['raw'](x)", 'sqlText[0]'],
    ['CompiledQuery.raw(text)', 'compiled.query(text, [value])'],
    ['client.query(`select ${x}`)', 'client.query(`select 1`)'],
    ['client.query<{ a: 1 }>(`select ${x}`)', "client.query<{ a: 1 }>('select $1', [x])"],
    ["client.query('select ' + x)", "client.query('select $1', [a + b])"],
    ['sql`${`a ${b}`}`', 'sql`${b}::uuid[]`'],
    ["sql`${a + 'b'}`", 'sql`${row.a}`'],
  ];
  for (const [caught, accepted] of pairs) {
    assert.notDeepEqual(findUnbound(caught), [], caught);
    assert.deepEqual(findUnbound(accepted), [], accepted);
  }
});
