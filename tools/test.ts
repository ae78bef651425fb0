import { chmodSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endRunningJobs, runJob, type JobPlace, type JobResult } from './test-job.ts';
import { planSuites, type Extent, type Suite } from './test-plan.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);

/** Half of what a test file takes is the compiling of what it imports. */
const compileCache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled');

/** Settings of the caller that tests may see; any other of ours would change what they test. */
const keptVariables = ['HOLDFAST_CHROMIUM'];

async function runTests(extent: Extent): Promise<readonly JobResult[]> {
  const rootDir = join(import.meta.dirname, '..');
  const runDir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  chmodSync(runDir, 0o755); // Tests that drop to other users look for their own folders below it.
  const place: JobPlace = { rootDir, runDir, environment: environmentOf(extent), graceMs: 3_000 };
  const results: JobResult[] = [];
  for (const suite of planSuites(rootDir, extent)) results.push(...(await runSuite(suite, place, results.length)));
  // What a job left in it was named as a failure, and stays to be looked at.
  if (readdirSync(runDir).length === 0) rmdirSync(runDir);
  return results;
}

async function runSuite(suite: Suite, place: JobPlace, numbered: number): Promise<readonly JobResult[]> {
  print(`\n${suite.name}: ${suite.jobs.length} to run, ${suite.concurrency} at a time`);
  const waiting = suite.jobs.entries();
  const results: JobResult[] = [];
  const work = async () => {
    // The workers share one iterator, so each job is taken once.
    for (const [index, job] of waiting) {
      const result = await runJob(job, numbered + index, place);
      printResult(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: suite.concurrency }, work));
  return results;
}

function printResult({ name, passed, failures, skipped, output, elapsedMs }: JobResult): void {
  const counts = [`${passed} passed`, ...(skipped.length > 0 ? [`${skipped.length} skipped`] : [])].join(', ');
  const seconds = `${(elapsedMs / 1000).toFixed(1)} s`;
  if (failures.length === 0) return void print(`  ok      ${name} (${counts}, ${seconds})`);
  print(`  FAILED  ${name} (${counts}, ${failures.length} failed, ${seconds})`);
  for (const failure of failures) print(`            ${failure}`);
  print(output.replaceAll(/^/gm, '          | '));
}

/** The jobs to look at first when a run takes too long. */
function printSlowest(results: readonly JobResult[]): void {
  const slowest = results.toSorted((a, b) => b.elapsedMs - a.elapsedMs).slice(0, 5);
  print(`\nslowest: ${slowest.map(({ name, elapsedMs }) => `${name} ${(elapsedMs / 1000).toFixed(1)} s`).join(', ')}`);
}

/** Names what failed once more, says what was skipped and why, and ends with the line of the sums. */
function printSummary(results: readonly JobResult[]): void {
  const failed = results.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`));
  const skipped = results.flatMap((result) => result.skipped.map((test) => ({ ...test, file: result.name })));
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  if (skipped.length > 0) print('\nskipped:');
  for (const { file, name, reason } of skipped) print(`  ${reason || 'no reason given'}: ${name} (${file})`);
  if (failed.length > 0) print('\nfailed:');
  for (const failure of failed) print(`  ${failure}`);
  const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
  print(`\n${passed} passed, ${failed.length} failed${skips}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

function environmentOf(extent: Extent): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('HOLDFAST_') || keptVariables.includes(name),
  );
  // Compiled code is kept from run to run, and not in the folder for temporary files, which must be empty in the end.
  const own = { NODE_COMPILE_CACHE: compileCache, ...(extent === 'full' ? { HOLDFAST_TEST_FULL: '1' } : {}) };
  return { ...Object.fromEntries(kept), ...own };
}

function extentOf(args: readonly string[]): Extent | undefined {
  const extents: Readonly<Record<string, Extent>> = { '': 'test', '--check': 'check', '--full': 'full' };
  return extents[args.join(' ')];
}

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => {
    endRunningJobs();
    process.exit(exitCode);
  });

const extent = extentOf(process.argv.slice(2));
if (extent) {
  const begun = performance.now();
  const results = await runTests(extent);
  print(`\n${((performance.now() - begun) / 1000).toFixed(0)} s in all`);
  printSlowest(results);
  printSummary(results);
} else {
  process.stderr.write('usage: node tools/test.ts [--check | --full]\n');
  process.exitCode = 2;
}
