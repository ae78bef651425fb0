import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkBoundaries } from './check-boundaries.ts';

type Sources = Readonly<Record<string, string>>;

function workspace(name: string, more: object = {}): string {
  return JSON.stringify({ name: `@holdfast/${name}`, exports: { '.': './src/index.ts' }, ...more });
}

/** A small tree that crosses no boundary, and uses every kind of import that is allowed. */
const clean: Sources = {
  'package.json': JSON.stringify({ devDependencies: { 'fast-check': '1.0.0' } }),
  'packages/base/package.json': workspace('base'),
  'packages/base/src/index.ts': "export * from './errors.ts';",
  'packages/base/src/errors.ts': '',
  'packages/archive/package.json': workspace('archive', {
    exports: { '.': './src/index.ts', './read': './src/read.ts', './testing': './src/testing.ts' },
    dependencies: { '@holdfast/base': '1' },
    devDependencies: { '@holdfast/testing': '1' },
  }),
  'packages/archive/src/index.ts':
    "import { open } from 'node:fs';\nimport '@holdfast/base';\nexport * from './read.ts';",
  'packages/archive/src/read.ts': "export * from './format/tree.ts';\n// import 'node:fs';",
  'packages/archive/src/format/tree.ts': "import type { Id } from '@holdfast/base';",
  'packages/archive/src/format/tree.test.ts':
    "import fc from 'fast-check';\nimport '@holdfast/testing';\nimport '../testing.ts';",
  'packages/archive/src/testing.ts': "import './format/tree.ts';",
  'packages/archive/assembly/chunker.as.ts': "import 'nothing-declares-this';",
  'packages/testing/package.json': workspace('testing', { dependencies: { '@holdfast/base': '1' } }),
  'packages/testing/src/index.ts': "import '@holdfast/base';",
  'packages/recover/package.json': workspace('recover', { dependencies: { '@scure/bip39': '1' } }),
  'packages/recover/src/index.ts': "import '@scure/bip39/wordlists/english.js';\nimport 'node:zlib';",
  'apps/cloud/package.json': workspace('cloud', {
    dependencies: { '@holdfast/base': '1', '@holdfast/archive': '1', kysely: '1' },
    devDependencies: { '@holdfast/sdk': '1' },
  }),
  'apps/cloud/src/index.ts': "import './app.ts';",
  'apps/cloud/src/app.ts': "import './modules/tenants/index.ts';\nimport './platform/postgres.ts';",
  'apps/cloud/src/platform/postgres.ts': "import { Kysely } from 'kysely';",
  'apps/cloud/src/modules/audit/index.ts': "import './audit-store.ts';",
  'apps/cloud/src/modules/audit/audit-store.ts': "import { sql } from 'kysely';\nimport '../../platform/postgres.ts';",
  'apps/cloud/src/modules/tenants/index.ts': "import './tenants.ts';",
  'apps/cloud/src/modules/tenants/tenants.ts': "import '../audit/index.ts';",
  'apps/cloud/src/modules/tenants/tenants.db.test.ts': "import '@holdfast/sdk';\nimport '../../app.ts';",
  'packages/sdk/package.json': workspace('sdk'),
  'packages/sdk/src/index.ts': 'const a = new URL("../README.md", import.meta.url);',
  'tools/check.ts': "import 'node:fs';\nimport fc from 'fast-check';",
};

function problemsOf(t: { after(undo: () => void): void }, changes: Sources): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'a tree '));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries({ ...clean, ...changes })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return checkBoundaries(root);
}

test('a tree that keeps to the rules has no problem', (t) => {
  assert.deepEqual(problemsOf(t, {}), []);
});

/** Each change alone makes exactly this problem. */
const violations: readonly (readonly [name: string, changes: Sources, problem: RegExp])[] = [
  [
    'an undeclared package that hoisting would find',
    { 'packages/base/src/errors.ts': "import 'kysely';" },
    /base\/src\/errors\.ts:1: kysely is not in packages\/base/,
  ],
  [
    'a type-only import of an undeclared package',
    { 'packages/base/src/errors.ts': "import type { Kysely } from 'kysely';" },
    /kysely is not in/,
  ],
  [
    'an undeclared dynamic import',
    { 'packages/base/src/errors.ts': "\nconst k = await import('kysely/x');" },
    /errors\.ts:2: kysely is not in/,
  ],
  [
    'a computed import',
    { 'packages/base/src/errors.ts': 'await import(name);' },
    /errors\.ts:1: the name of an imported module is computed/,
  ],
  [
    'a test tool in code that is no test',
    { 'packages/base/src/errors.ts': "import 'fast-check';" },
    /fast-check is not in packages\/base/,
  ],
  [
    'a dev dependency in code that is no test',
    { 'packages/archive/src/index.ts': "import '@holdfast/testing';" },
    /archive must not import testing.*\n.*is test code.*\n.*not in packages\/archive/,
  ],
  [
    'a package of ours against the direction',
    { 'packages/archive/src/index.ts': "import '@holdfast/sdk';" },
    /archive must not import sdk\n.*not in packages\/archive/,
  ],
  [
    'a declaration against the direction',
    { 'packages/sdk/package.json': workspace('sdk', { dependencies: { '@holdfast/archive': '1' } }) },
    /packages\/sdk\/package\.json: sdk must not depend on archive/,
  ],
  [
    'recover importing anything of ours',
    {
      'packages/recover/package.json': workspace('recover', { dependencies: { '@holdfast/base': '1' } }),
      'packages/recover/src/index.ts': "import '@holdfast/base';",
    },
    /recover must not depend on base\n.*recover must not import base/,
  ],
  [
    'a relative path out of the package',
    { 'packages/recover/src/index.ts': "import '../../archive/src/read.ts';" },
    /leaves packages\/recover/,
  ],
  [
    'code loaded by URL from another package',
    { 'packages/recover/src/index.ts': "new URL('../../archive/src/x.wasm', import.meta.url);" },
    /leaves packages\/recover/,
  ],
  [
    'a file around the entry points',
    { 'apps/cloud/src/app.ts': "import '@holdfast/archive/src/read.ts';" },
    /no entry point of archive/,
  ],
  [
    'test code of another package in code that is no test',
    { 'apps/cloud/src/app.ts': "import '@holdfast/archive/testing';" },
    /archive\/testing is test code/,
  ],
  [
    'test code of the package in code that is no test',
    { 'packages/archive/src/index.ts': "import './testing.ts';" },
    /\.\/testing\.ts is test code/,
  ],
  [
    'a package that imports itself by name',
    { 'packages/archive/src/index.ts': "import '@holdfast/archive/read';" },
    /imports its own files by path/,
  ],
  [
    'a part of Node without its prefix',
    { 'packages/base/src/errors.ts': "import 'zlib';" },
    /write node:zlib\n.*not in a browser/,
  ],
  [
    'Node in what a browser loads, far down',
    {
      'packages/archive/src/format/tree.ts': "import './deep.ts';",
      'packages/archive/src/format/deep.ts': "import 'node:fs';",
    },
    /format\/deep\.ts:1: node:fs is not in a browser, and packages\/archive\/src\/read\.ts reaches it/,
  ],
  ['a package without a rule', { 'packages/extra/package.json': workspace('extra') }, /packages\/extra: no rule says/],
  ['tools that use the product', { 'tools/check.ts': "import '@holdfast/base';" }, /tools use nothing of the product/],
  [
    'tools that reach into the product',
    { 'tools/check.ts': "import '../packages/base/src/index.ts';" },
    /leaves tools/,
  ],
  [
    'a module that imports upwards',
    { 'apps/cloud/src/modules/audit/index.ts': "import '../tenants/index.ts';" },
    /module audit must not import module tenants/,
  ],
  [
    'a module reached around its face',
    { 'apps/cloud/src/modules/tenants/tenants.ts': "import '../audit/audit-store.ts';" },
    /only index\.ts of module audit/,
  ],
  [
    'the platform importing a module',
    { 'apps/cloud/src/platform/postgres.ts': "import '../modules/audit/index.ts';" },
    /the platform knows no module/,
  ],
  [
    'the keystore importing a module',
    { 'apps/cloud/src/keystore/serve.ts': "import '../modules/audit/index.ts';" },
    /the keystore takes nothing but the platform/,
  ],
  [
    'a module importing the app',
    { 'apps/cloud/src/modules/audit/index.ts': "import '../../app.ts';" },
    /modules must not import apps\/cloud\/src\/app\.ts/,
  ],
  [
    'a module nobody listed',
    { 'apps/cloud/src/modules/extras/index.ts': '' },
    /modules\/extras: the list of modules does not know it/,
  ],
  [
    'a module without a face',
    { 'apps/cloud/src/modules/devices/devices.ts': '' },
    /modules\/devices: a module has an index\.ts/,
  ],
  [
    'a module of thirteen files',
    Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`apps/cloud/src/modules/audit/part-${n}.ts`, ''])),
    /modules\/audit: more than 12 source files/,
  ],
  [
    'SQL outside a store',
    { 'apps/cloud/src/modules/tenants/tenants.ts': "import { sql } from 'kysely';" },
    /tenants\.ts:1: statements are built in store\.ts only/,
  ],
  ['a name that says nothing', { 'packages/base/src/utils.ts': '' }, /utils\.ts: the name says nothing/],
  [
    'a name that says nothing, in a test',
    { 'packages/base/src/helpers.test.ts': '' },
    /helpers\.test\.ts: the name says nothing/,
  ],
  ['a name in another case', { 'packages/base/src/someFile.ts': '' }, /someFile\.ts: a file name is kebab-case/],
  ['folders four deep', { 'packages/base/src/a/b/c/d/e.ts': '' }, /folders go at most 3 deep/],
];

for (const [name, changes, problem] of violations) {
  test(`found: ${name}`, (t) => {
    const problems = problemsOf(t, changes);
    assert.match(problems.join('\n'), problem);
    assert.equal(problems.length, problem.source.split('\\n').length, problems.join('\n'));
  });
}

test('the neighbours of the violations are accepted', (t) => {
  const thirteenth = Array.from({ length: 10 }, (_, n) => [`apps/cloud/src/modules/audit/part-${n}.ts`, ''] as const);
  const neighbours: Sources = {
    ...Object.fromEntries(thirteenth),
    'apps/cloud/src/modules/audit/audit.test.ts': "import './part-1.ts';",
    'apps/cloud/src/app.ts': "import '@holdfast/archive/read';\nimport { sql } from 'kysely';",
    'packages/base/src/error-types.ts': '',
    'packages/base/src/a/b/c/e.ts': '',
    'packages/recover/src/read.test.ts': "import 'node:fs';",
    'packages/recover/src/index.ts': "// import '@holdfast/base';\nconst text = \"import '@holdfast/archive'\";",
    'packages/archive/src/index.ts': "import 'node:fs';\nconst wasm = new URL('../assembly/x.wasm', import.meta.url);",
  };
  assert.deepEqual(problemsOf(t, neighbours), []);
});
