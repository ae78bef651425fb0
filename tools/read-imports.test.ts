import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readImports } from './read-imports.ts';

function specifiers(source: string): readonly (string | undefined)[] {
  return readImports(source).map(({ specifier }) => specifier);
}

test('every form of naming another module is found', () => {
  const source = [
    "import a from 'a';",
    "import type { B } from 'b';",
    'import {\n  c,\n  type D,\n} from "c";',
    "import 'd';",
    "export * from './e.ts';",
    "export { f } from '../f.ts';",
    "const g = await import('g');",
    "type H = import('h').H;",
    "const i = require('i');",
    "const j = new Worker(new URL('./j.ts', import.meta.url));",
    "const k = `${await import('k')} text ${`${(() => { return import('l'); })()}`}`;",
  ].join('\n');
  assert.deepEqual(specifiers(source), ['a', 'b', 'c', 'd', './e.ts', '../f.ts', 'g', 'h', 'i', './j.ts', 'k', 'l']);
  assert.deepEqual(
    readImports(source)
      .filter(({ form }) => form === 'url')
      .map(({ line }) => line),
    [13],
  );
});

test('an import with a computed name is found without a name', () => {
  assert.deepEqual(specifiers('const a = await import(name);\nconst b = import(`./${name}.ts`);'), [
    undefined,
    undefined,
  ]);
});

test('text that only looks like an import is none', () => {
  const source = [
    "// import a from 'a';",
    "/* import b from 'b'; */",
    'const c = "import c from \'c\'";',
    "const d = `import d from 'd';\n${1}\nimport d2 from 'd2';`;",
    "const e = /import 'e'/.test(text) ? 1 / 2 : text.match(/from '[']e2'/);",
    "const f = { from: 'f' }, from = 'f2';",
    "const g = Array.from('g');",
    "const h = new URL('h', base);",
    "loader.import('i');",
    "loader.require('j');",
    'const meta = import.meta.url;',
    "const k = '\\'; import k from \"k\"';",
  ].join('\n');
  assert.deepEqual(specifiers(source), []);
});

test('what follows a regular expression, a template or a division is still read', () => {
  const source = [
    'const a = /["\'`]/; import "a";',
    'const b = `\\`${{ c: "}" }.c}`; import "b";',
    'const c = (x) / 2 / y; import "c";',
    'const d = /[/]\\/"/u; import "d";',
    'if (x) { return /`/; } import "e";',
  ].join('\n');
  assert.deepEqual(specifiers(source), ['a', 'b', 'c', 'd', 'e']);
});
