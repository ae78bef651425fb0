import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadMutants, type Mutant, plant } from '../mutants.ts';
import { copyProduct } from '../product-copy.ts';

type Verdict = { readonly mutant: Mutant; readonly outcome: 'killed' | 'survived' | 'stale'; readonly note: string };

const TIMEOUT_MS = 300_000;

/** Ends the test that runs just now, if any. */
let endTest: () => unknown = () => undefined;

const print = (line: string) => process.stdout.write(`${line}\n`);

/** Puts each fault into a copy of the tree, one at a time, and fails when a test stays green. Arguments: name prefixes. */
async function main(prefixes: readonly string[]): Promise<void> {
  const mutants = await loadMutants(prefixes);
  if (mutants.length === 0) throw new Error(`no mutant is called ${prefixes.join(' or ')}`);
  const copyDir = copyProduct('mutants');
  const remove = () => rmSync(copyDir, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      endTest();
      remove();
      process.exit(1);
    });
  }
  try {
    const verdicts = await runAll(mutants, copyDir);
    const alive = verdicts.filter(({ outcome }) => outcome !== 'killed');
    print(`\n${verdicts.length - alive.length} of ${verdicts.length} faults found`);
    for (const { mutant, outcome, note } of alive) print(`  ${outcome}: ${mutant.name} ${note}`);
    process.exitCode = alive.length === 0 ? 0 : 1;
  } finally {
    remove();
  }
}

async function runAll(mutants: readonly Mutant[], copyDir: string): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const [test, ofTest] of Object.entries(Object.groupBy(mutants, (mutant) => mutant.test))) {
    // A test that is red anyway finds nothing.
    const isGreen = await passes(test, copyDir);
    for (const mutant of ofTest ?? []) {
      const verdict: Verdict = isGreen
        ? await tryMutant(mutant, copyDir)
        : { mutant, outcome: 'stale', note: `(${test} fails without it)` };
      print(`${verdict.outcome.padEnd(8)} ${mutant.name} ${verdict.note}`);
      verdicts.push(verdict);
    }
  }
  return verdicts;
}

async function tryMutant(mutant: Mutant, copyDir: string): Promise<Verdict> {
  const file = path.join(copyDir, mutant.file);
  const source = readFileSync(file, 'utf8');
  const planted = plant(mutant, source);
  if ('stale' in planted) return { mutant, outcome: 'stale', note: `(${planted.stale})` };
  const startedAt = performance.now();
  try {
    writeFileSync(file, planted.mutated);
    const survived = await passes(mutant.test, copyDir);
    const note = `(${((performance.now() - startedAt) / 1000).toFixed(1)} s)`;
    return { mutant, outcome: survived ? 'survived' : 'killed', note };
  } finally {
    writeFileSync(file, source);
  }
}

/** Whether a test file is green; one that hangs is not. */
function passes(test: string, copyDir: string): Promise<boolean> {
  const child = spawn(process.execPath, ['--test', test], { cwd: copyDir, stdio: 'ignore', detached: true });
  // The group, so that what the test started ends too.
  endTest = () => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL');
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => endTest(), TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      endTest = () => undefined;
      resolve(code === 0);
    });
  });
}

await main(process.argv.slice(2));
