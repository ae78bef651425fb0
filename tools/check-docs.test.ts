import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkDocs } from './check-docs.ts';

const decision = (number: string) =>
  `# ${number} Title\n\n## Status\nAccepted\n\n## Context\n\n## Decision\n\n## Consequences\n\n## Alternatives refused\n`;

const tree: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({
    scripts: { start: '', test: '', 'test:full': '' },
    devDependencies: { '@scope/name': '1.2.3' },
  }),
  'README.md': '',
  'docs/adr/0001-first.md': decision('0001'),
  'docs/adr/0002-second.md': decision('0002'),
  'apps/cli/src/main.ts':
    "cli.command('up');\nconst cloud = cli.command('cloud');\ncloud.command('tenant').command('create <slug>');",
  'packages/base/src/x.ts':
    "export const xErrors = defineErrors('thing', {\n  not_found: ['not_found', 'Not found'],\n});\nprocess.env['HOLDFAST_HOME'];",
};

function problemsOf(
  t: { after(undo: () => void): void },
  changes: Readonly<Record<string, string>>,
): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'docs of '));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries({ ...tree, ...changes })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return checkDocs(root);
}

const truths = [
  'Run `npm start`, `npm test` or `npm run test:full`.',
  'See `packages/base/src/x.ts`, `packages/base/`, `packages/<name>/src`, `docs/adr/NNNN-*.md`, `apps/{cli,agent}/src` and `package.json`.',
  'A thing may be `thing.not_found`; `archive.md` and `job.id` are no codes, `x.ts` is there, `x.test.ts` is any test.',
  '`holdfast up --port 1`, `holdfast cloud tenant create ACME`, and holdfast does things.',
  '[decision](docs/adr/0001-first.md#status) and [elsewhere](https://example.com/x)',
  'Set `HOLDFAST_HOME`; uses `@scope/name@1.2.3`.',
  '```\nholdfast up; npm start\n/tmp\n```',
];

test('a document that says what is so has no problem', (t) => {
  assert.deepEqual(problemsOf(t, { 'README.md': truths.join('\n') }), []);
});

const registryHost = ['registry', 'example', 'org'].join('.');
const machinePath = ['', 'work', 'main'].join('/');
const named = '`@scope/name@1.2.3` for names\n';
const falsehoods: readonly (readonly [string, string])[] = [
  ['`npm run missing`', 'README.md:1: there is no npm script missing'],
  ['```\nnpm run missing\n```', 'README.md:2: there is no npm script missing'],
  ['see `packages/base/src/y.ts`', 'README.md:1: there is no packages/base/src/y.ts'],
  ['see `packages/<name>/src/y.ts`', 'README.md:1: there is no packages/<name>/src/y.ts'],
  ['see `thing.ts`', 'README.md:1: there is no thing.ts'],
  ['see `MISSING.md`', 'README.md:1: there is no MISSING.md'],
  ['\nan error `thing.gone`', 'README.md:2: no error has the code thing.gone'],
  ['`holdfast down`', 'README.md:1: there is no command down'],
  ['`holdfast cloud tenant destroy`', 'README.md:1: there is no command destroy'],
  ['[x](docs/missing.md)', 'README.md:1: the link to docs/missing.md leads nowhere'],
  ['`HOLDFAST_MISSING=1`', 'README.md:1: no source reads HOLDFAST_MISSING'],
  ['`@scope/name@1.2.4`', 'README.md:1: no package.json asks for @scope/name@1.2.4'],
  [`in ${machinePath}`, `README.md:1: ${machinePath.slice(0, 6)} is not the project's`],
  ['in /home/alice', "README.md:1: /home/a is not the project's"],
  [registryHost, `README.md:1: ${registryHost} is not the project's`],
];

for (const [text, problem] of falsehoods) {
  test(`found: ${problem.slice('README.md:1: '.length)} (${text.split('\n').length} lines)`, (t) => {
    assert.deepEqual(problemsOf(t, { 'README.md': text }), [problem]);
  });
}

test('ARCHITECTURE.md has at most 400 lines, a decision at most 80', (t) => {
  assert.deepEqual(problemsOf(t, { 'ARCHITECTURE.md': named + 'x\n'.repeat(399) }), []);
  const long = problemsOf(t, {
    'ARCHITECTURE.md': named + 'x\n'.repeat(400),
    'docs/adr/0002-second.md': decision('0002') + '\n'.repeat(80),
  });
  assert.deepEqual(long, [
    'ARCHITECTURE.md: 401 lines; at most 400 are read',
    'docs/adr/0002-second.md: 92 lines; at most 80 are read',
  ]);
});

test('a dependency without a reason in the map is found, one of ours needs none', (t) => {
  const manifest = JSON.stringify({ dependencies: { '@holdfast/base': '1', pg: '1.0.0' } });
  const problems = problemsOf(t, { 'ARCHITECTURE.md': named, 'apps/cli/package.json': manifest });
  assert.deepEqual(problems, ['ARCHITECTURE.md: nothing says what pg is for']);
  const both = `${named}\`pg@1.0.0\` for the database\n`;
  assert.deepEqual(problemsOf(t, { 'ARCHITECTURE.md': both, 'apps/cli/package.json': manifest }), []);
});

test('a decision has its number, its title and its five parts', (t) => {
  assert.deepEqual(problemsOf(t, { 'docs/adr/0004-late.md': decision('0004') }), [
    'docs/adr/0004-late.md: decisions are numbered without a gap; this is 0003',
  ]);
  assert.deepEqual(problemsOf(t, { 'docs/adr/0003-third.md': decision('0002') }), [
    'docs/adr/0003-third.md: its title begins with its number',
  ]);
  const [problem] = problemsOf(t, { 'docs/adr/0003-third.md': decision('0003').replace('## Decision', '## Choice') });
  assert.match(problem ?? '', /its parts are ## Status/);
});
