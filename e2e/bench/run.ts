/**
 * `npm run bench [-- --runs 5 --mib 2048 --files 20000 --seed holdfast --json FILE]`: first backup, unchanged again and
 * restore, against restic on the same files in the same run, alternating. Both write to a local folder.
 */
import { rmSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { compareTrees } from '@holdfast/agent/filesystem/testing';
import { type DataSet, makeIncompressible, makeSmallFiles } from './data-sets.ts';
import { type Figures, formatSpread, measure, spreadOf } from './measure.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    mib: { type: 'string', default: '2048' },
    files: { type: 'string', default: '20000' },
    seed: { type: 'string', default: 'holdfast' },
    json: { type: 'string' },
  },
});

const steps = ['first', 'again', 'restore'] as const;
type Step = (typeof steps)[number];
type Tool = (set: DataSet, work: string, step: Step) => Figures;
type Line = {
  readonly set: string;
  readonly step: Step;
  readonly run: number;
  readonly holdfast: Figures;
  readonly restic: Figures;
};

const engine = path.join(import.meta.dirname, 'engine.ts');

const holdfast: Tool = (set, work, step) =>
  measure([process.execPath, '--max-semi-space-size=4', engine, step, path.join(work, 'holdfast'), set.folder], {
    NODE_COMPILE_CACHE: path.join(work, 'compiled'),
  });

const restic: Tool = (set, work, step) => {
  const repository = ['restic', '-q', '--no-cache', '-r', path.join(work, 'restic')];
  const secret = { RESTIC_PASSWORD: 'measured' };
  if (step === 'first') measure([...repository, 'init', '--repository-version', '2'], secret);
  if (step !== 'restore') return measure([...repository, 'backup', set.folder], secret);
  return measure([...repository, 'restore', 'latest', '--target', path.join(work, 'restic-restored')], secret);
};

function main(): void {
  if (spawnSync('restic', ['version']).status !== 0) throw new Error('install the package "restic": it is the peer');
  const work = mkdtempSync(path.join(tmpdir(), 'holdfast-bench-'));
  try {
    const sets = [
      makeIncompressible(path.join(work, 'incompressible'), values.seed, Number(values.mib)),
      makeSmallFiles(path.join(work, 'small'), values.seed, Number(values.files)),
    ];
    const lines = sets.flatMap((set) => measureSet(set, work));
    report(sets, lines);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function measureSet(set: DataSet, work: string): Line[] {
  const lines: Line[] = [];
  // The files were just written and fit: the page cache is warm for both.
  for (let run = 0; run <= Number(values.runs); run++) {
    const place = path.join(work, 'run');
    mkdirSync(place);
    for (const step of steps) {
      // Who goes first changes from run to run. The run numbered 0 warms up and is not counted.
      const pair = run % 2 === 0 ? [holdfast, restic] : [restic, holdfast];
      const figures = new Map(pair.map((tool) => [tool, tool(set, place, step)]));
      if (run > 0)
        lines.push({ set: set.name, step, run, holdfast: figures.get(holdfast)!, restic: figures.get(restic)! });
    }
    checkRestored(set, path.join(place, 'holdfast/restored'));
    rmSync(place, { recursive: true });
  }
  return lines;
}

function checkRestored(set: DataSet, restored: string): void {
  const differences = compareTrees(set.folder, restored);
  if (differences.length > 0) throw new Error(`the restored tree differs: ${JSON.stringify(differences[0])}`);
  if (!statSync(restored).isDirectory()) throw new Error('nothing was restored');
}

function report(sets: readonly DataSet[], lines: readonly Line[]): void {
  const print = (line: string) => process.stdout.write(`${line}\n`);
  for (const set of sets)
    print(`${set.name}: ${set.files} files, ${(set.bytes / 1e6).toFixed(0)} MB, seed "${values.seed}"`);
  print(
    `${values.runs} runs after one that warms up, alternating; page cache warm, sync before each step; medians (least to greatest)`,
  );
  const rows = sets.flatMap((set) =>
    steps.map((step) =>
      rowOf(
        set,
        lines.filter((l) => l.set === set.name && l.step === step),
      ),
    ),
  );
  print(
    '| files | step | holdfast s | restic s | restic / holdfast | cpu s, ours / theirs | resident MB, ours / theirs |',
  );
  print('| --- | --- | --- | --- | --- | --- | --- |');
  for (const row of rows) print(row);
  if (values.json) writeFileSync(values.json, JSON.stringify({ seed: values.seed, sets, lines }, null, 2));
}

function rowOf(set: DataSet, lines: readonly Line[]): string {
  const spread = (pick: (line: Line) => number, digits?: number) => formatSpread(spreadOf(lines.map(pick)), digits);
  const cells = [
    set.name,
    lines[0]!.step,
    spread((line) => line.holdfast.wallSeconds),
    spread((line) => line.restic.wallSeconds),
    spread((line) => line.restic.wallSeconds / line.holdfast.wallSeconds),
    `${spread((line) => line.holdfast.cpuSeconds, 1)} / ${spread((line) => line.restic.cpuSeconds, 1)}`,
    `${spread((line) => line.holdfast.residentMB, 0)} / ${spread((line) => line.restic.residentMB, 0)}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

main();
