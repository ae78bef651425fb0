import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Job } from './test-job.ts';

/** Jobs that run together, so many at a time. */
export type Suite = { readonly name: string; readonly concurrency: number; readonly jobs: readonly Job[] };

/** How much is run: what takes seconds, what a change has to pass, or everything. */
export type Extent = 'check' | 'test' | 'full';

/** Tests that compose many parts, need a database, kill processes or run the whole product have kinds of their own. */
const kinds = [
  { suite: 'system', pattern: '{packages,apps,tools}/**/*.system.test.ts', timeoutMs: 300_000, concurrency: 2 },
  { suite: 'database', pattern: '{packages,apps,tools}/**/*.db.test.ts', timeoutMs: 240_000, concurrency: 2 },
  { suite: 'crash', pattern: '{packages,apps,tools}/**/*.crash.test.ts', timeoutMs: 600_000, concurrency: 1 },
  { suite: 'end to end', pattern: 'e2e/**/*.e2e.ts', timeoutMs: 900_000, concurrency: 2 },
] as const;

/** Tests of everything may take this many times longer. */
const fullFactor = 6;

/** The suites to run, in order. */
export function planSuites(rootDir: string, extent: Extent): readonly Suite[] {
  const check: Suite = {
    name: 'check',
    concurrency: Math.max(2, availableParallelism()),
    jobs: [...staticChecks, ...findUnitTests(rootDir).map((path) => testJob(path, 60_000))],
  };
  if (extent === 'check') return [check];
  const factor = extent === 'full' ? fullFactor : 1;
  const suites = kinds.map(({ suite, pattern, timeoutMs, concurrency }) => ({
    name: suite,
    concurrency,
    jobs: findFiles(rootDir, pattern).map((path) => testJob(path, timeoutMs * factor)),
  }));
  return [check, ...suites];
}

/** Slowest first, so that the machine is busy to the end. */
const staticChecks: readonly Job[] = [
  staticCheck('lint', ['node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings', '.']),
  staticCheck('format', [
    'node_modules/prettier/bin/prettier.cjs',
    '--check',
    '--cache',
    '--cache-location=node_modules/.cache/prettier.json',
    '--log-level=warn',
    '.',
  ]),
  staticCheck('types', [
    'node_modules/typescript/bin/tsc',
    '-p',
    '.',
    '--incremental',
    '--tsBuildInfoFile',
    'node_modules/.cache/types.tsbuildinfo',
  ]),
  staticCheck('boundaries', ['tools/check-boundaries.ts']),
  staticCheck('documents', ['tools/check-docs.ts']),
  staticCheck('lock file', ['tools/check-lock.ts']),
];

function staticCheck(name: string, args: readonly string[]): Job {
  return { name, args, timeoutMs: 120_000, hasTests: false };
}

function testJob(path: string, timeoutMs: number): Job {
  return { name: path, args: [path], timeoutMs, hasTests: true };
}

function findUnitTests(rootDir: string): readonly string[] {
  return findFiles(rootDir, '{packages,apps,tools,e2e}/**/*.test.ts').filter(
    (path) => !/\.(?:system|db|crash)\.test\.ts$/.test(path),
  );
}

function findFiles(rootDir: string, pattern: string): readonly string[] {
  return globSync(pattern, { cwd: rootDir, exclude: (path) => /(?:^|\/)node_modules$/.test(path) }).toSorted();
}
