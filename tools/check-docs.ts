import { existsSync, globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { readFacts, readTexts, type Facts } from './document-facts.ts';

/** Lines that a document may have; longer ones are not read. */
const maxLines: readonly (readonly [pattern: RegExp, lines: number])[] = [
  [/^ARCHITECTURE\.md$/, 400],
  [/^docs\/adr\//, 80],
];

const decisionHeadings = ['## Status', '## Context', '## Decision', '## Consequences', '## Alternatives refused'];

/**
 * Everything the documents below `root` say that is not so, one sentence each; empty when there is nothing.
 *
 * A document may name only files, npm scripts, commands, error codes and settings that exist; decisions have their
 * five parts and no gap in their numbers; no machine's paths and no registry's address are anywhere.
 */
export function checkDocs(root: string): readonly string[] {
  const facts = readFacts(root);
  const documents = readTexts(root, ['*.md', '{docs,apps,packages,e2e,tools}/**/*.md']);
  const texts = readTexts(root, [
    '*.{md,json,mjs}',
    '.ci/*',
    '{docs,apps,packages,e2e,tools}/**/*.{md,ts,tsx,mjs,json,sql}',
  ]);
  return [
    ...documents.flatMap(([path, text]) => checkDocument(root, path, text, facts)),
    ...checkDependencies(documents.find(([path]) => path === 'ARCHITECTURE.md')?.[1], facts),
    ...checkDecisions(documents.filter(([path]) => path.startsWith('docs/adr/'))),
    ...texts.flatMap(([path, text]) => checkForeign(path, text)),
  ];
}

function checkDocument(root: string, path: string, text: string, facts: Facts): readonly string[] {
  const lines = text.split('\n');
  const limit = maxLines.find(([pattern]) => pattern.test(path))?.[1] ?? Infinity;
  const tooLong = lines.length - 1 > limit ? [`${path}: ${lines.length - 1} lines; at most ${limit} are read`] : [];
  let isFenced = false;
  const problems = lines.flatMap((line, index) => {
    if (line.startsWith('```')) isFenced = !isFenced;
    const code = isFenced ? [line] : Array.from(line.matchAll(/`([^`]+)`/g), ([, span]) => span!);
    return [
      ...code.flatMap((span) => checkCode(span, facts)),
      ...(isFenced ? [] : code.flatMap((span) => checkPath(root, span, facts))),
      ...(isFenced ? [] : checkLinks(root, path, line)),
    ].map((problem) => `${path}:${index + 1}: ${problem}`);
  });
  return [...tooLong, ...problems];
}

function checkCode(code: string, facts: Facts): readonly string[] {
  const scripts = Array.from(
    code.matchAll(/\bnpm run ([a-z][\w:-]*)|\bnpm (start|test)\b/g),
    ([, run, short]) => (run ?? short)!,
  );
  const packages = Array.from(code.matchAll(/(?<![\w/])((?:@[a-z-]+\/)?[a-z][a-z0-9.-]*)@(\d[\w.-]*)/g));
  const isCode = /^[a-z_]+\.(?!(?:ts|md|json|sql)$)[a-z_0-9]+$/.test(code) && facts.errorNouns.has(code.split('.')[0]!);
  const codes = isCode ? [code] : [];
  return [
    ...scripts.filter((name) => !facts.npmScripts.has(name)).map((name) => `there is no npm script ${name}`),
    ...commandWords(code)
      .filter((word) => !facts.commands.has(word))
      .map((word) => `there is no command ${word}`),
    ...codes.filter((name) => !facts.errorCodes.has(name)).map((name) => `no error has the code ${name}`),
    ...(code.match(/\bHOLDFAST_[A-Z_]+\b/g) ?? [])
      .filter((name) => !facts.variables.has(name))
      .map((name) => `no source reads ${name}`),
    ...packages
      .filter(([, name, version]) => facts.versions.get(name!) !== version)
      .map(([found]) => `no package.json asks for ${found}`),
  ];
}

/** The words of `holdfast cloud tenant create ...` that name commands: those before the first that cannot. */
function commandWords(code: string): readonly string[] {
  return Array.from(code.matchAll(/(?:^|[\s$/])holdfast((?: [a-z][a-z-]*)+)(?=$|[\s;&|])/g)).flatMap(([, words]) =>
    words!.trim().split(' ').slice(0, 3),
  );
}

function checkPath(root: string, code: string, { fileNames }: Facts): readonly string[] {
  // `x.test.ts` stands for any such name.
  const isFileName = /^[a-z][\w.-]*\.(?:tsx?|mjs|sql)$/.test(code) && !code.startsWith('x.');
  if (isFileName) return fileNames.has(code) ? [] : [`there is no ${code}`];
  if (!/^(?:(?:apps|packages|docs|tools|e2e|\.ci)\/[^\s]*|[A-Z]+\.md|[a-z.-]+\.json)$/.test(code)) return [];
  const pattern = code.replaceAll(/<[^>]*>|NNNN/g, '*').replace(/\/$/, '');
  const exists = /[*{]/.test(pattern) ? globSync(pattern, { cwd: root }).length > 0 : existsSync(join(root, pattern));
  return exists ? [] : [`there is no ${code}`];
}

function checkLinks(root: string, path: string, line: string): readonly string[] {
  return Array.from(line.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g), ([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !existsSync(join(root, normalize(join(dirname(path), target)))))
    .map((target) => `the link to ${target} leads nowhere`);
}

/** Every dependency has its reason in the map. */
function checkDependencies(architecture: string | undefined, { dependencies }: Facts): readonly string[] {
  if (architecture === undefined) return [];
  return [...dependencies]
    .filter((name) => !architecture.includes(`\`${name}@`))
    .map((name) => `ARCHITECTURE.md: nothing says what ${name} is for`);
}

function checkDecisions(decisions: readonly (readonly [string, string])[]): readonly string[] {
  return decisions.flatMap(([path, text], index) => {
    const number = String(index + 1).padStart(4, '0');
    const headings = text.split('\n').filter((line) => line.startsWith('## '));
    return [
      ...(path.startsWith(`docs/adr/${number}-`)
        ? []
        : [`${path}: decisions are numbered without a gap; this is ${number}`]),
      ...(text.startsWith(`# ${path.slice(9, 13)} `) ? [] : [`${path}: its title begins with its number`]),
      ...(headings.join() === decisionHeadings.join() ? [] : [`${path}: its parts are ${decisionHeadings.join(', ')}`]),
    ];
  });
}

/** What belongs to one machine or one network and not to the project. */
function checkForeign(path: string, text: string): readonly string[] {
  const patterns = [/(?<![\w.*])\/work\//, /\bregistry\.[a-z]+\.[a-z]+/];
  const isDocument = path.endsWith('.md');
  const found = [...patterns, ...(isDocument ? [/(?<![\w.])\/(?:home|Users)\/\w/, /(?<![\w.])\/tmp\/\w/] : [])]
    .map((pattern) => pattern.exec(text))
    .find((match) => match !== null);
  if (!found) return [];
  return [`${path}:${text.slice(0, found.index).split('\n').length}: ${found[0]} is not the project's`];
}

if (import.meta.main) {
  const problems = checkDocs(join(import.meta.dirname, '..'));
  process.stderr.write(problems.map((problem) => `${problem}\n`).join(''));
  if (problems.length > 0) process.exitCode = 1;
}
