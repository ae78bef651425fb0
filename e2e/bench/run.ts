/**
 * `npm run bench [-- --runs 5 --mib 2048 --files 20000 --seed holdfast --to folder --json FILE]`: first backup, unchanged
 * again and restore, against restic on the same files in the same run, alternating. restic writes to a local folder; we do so
 * too, or with `--to server` to our own server over TLS on this machine, or with `--to both` to one after the other.
 */
import { rmSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import { compareTrees } from '@holdfast/agent/filesystem/testing';
import { type DataSet, makeIncompressible, makeSmallFiles } from './data-sets.ts';
import { type Figures, formatSpread, measure, spreadOf } from './measure.ts';
import { startServer, type MeasuredServer } from './server.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    mib: { type: 'string', default: '2048' },
    files: { type: 'string', default: '20000' },
    seed: { type: 'string', default: 'holdfast' },
    to: { type: 'string', default: 'folder' },
    json: { type: 'string' },
  },
});

const steps = ['first', 'again', 'restore'] as const;
type Step = (typeof steps)[number];
type Place = 'folder' | 'server';
type Tool = (set: DataSet, work: string, step: Step) => Figures;
type Line = {
  readonly set: string;
  readonly place: Place;
  readonly step: Step;
  readonly run: number;
  readonly holdfast: Figures;
  readonly restic: Figures;
};

const engine = path.join(import.meta.dirname, 'engine.ts');

/** The engine as the agent is started: with the same options and the same environment. */
const holdfastTo = (place: Place): Tool => {
  return (set, work, step) => {
    const command = [...engineCommand, step, stateOf(work, place), set.folder, place];
    return measure(command, engineEnvironment(path.dirname(work)));
  };
};

const engineCommand = [process.execPath, ...engineNodeFlags, engine];
const stateOf = (work: string, place: Place) => path.join(work, `holdfast-${place}`);

const restic: Tool = (set, work, step) => {
  const repository = ['restic', '-q', '--no-cache', '-r', path.join(work, 'restic')];
  const secret = { RESTIC_PASSWORD: 'measured' };
  if (step === 'first') measure([...repository, 'init', '--repository-version', '2'], secret);
  if (step !== 'restore') return measure([...repository, 'backup', set.folder], secret);
  return measure([...repository, 'restore', 'latest', '--target', path.join(work, 'restic-restored')], secret);
};

async function main(): Promise<void> {
  const places = placesOf(values.to);
  if (spawnSync('restic', ['version']).status !== 0) throw new Error('install the package "restic": it is the peer');
  const work = mkdtempSync(path.join(tmpdir(), 'holdfast-bench-'));
  const server = places.includes('server') ? await startServer(path.join(work, 'server')) : undefined;
  try {
    const sets = [
      makeIncompressible(path.join(work, 'incompressible'), values.seed, Number(values.mib)),
      makeSmallFiles(path.join(work, 'small'), values.seed, Number(values.files)),
    ];
    const lines: Line[] = [];
    for (const set of sets) lines.push(...(await measureSet(set, { work, places, server })));
    report(sets, lines);
  } finally {
    await server?.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

function placesOf(to: string): readonly Place[] {
  if (to === 'both') return ['folder', 'server'];
  if (to !== 'folder' && to !== 'server') throw new Error('--to is folder, server or both');
  return [to];
}

type Bench = { readonly work: string; readonly places: readonly Place[]; readonly server: MeasuredServer | undefined };

async function measureSet(set: DataSet, { work, places, server }: Bench): Promise<Line[]> {
  const lines: Line[] = [];
  const tools = [...places.map((place) => ({ place, tool: holdfastTo(place) })), { place: undefined, tool: restic }];
  // The files were just written and fit: the page cache is warm for both.
  for (let run = 0; run <= Number(values.runs); run++) {
    const folder = path.join(work, 'run');
    mkdirSync(folder);
    if (server) enroll(stateOf(folder, 'server'), await server.invite());
    for (const step of steps) {
      // Who goes first changes from run to run. The run numbered 0 warms up and is not counted.
      const order = run % 2 === 0 ? tools : tools.toReversed();
      const figures = new Map(order.map(({ place, tool }) => [place, tool(set, folder, step)]));
      if (run === 0) continue;
      const theirs = figures.get(undefined)!;
      for (const place of places)
        lines.push({ set: set.name, place, step, run, holdfast: figures.get(place)!, restic: theirs });
    }
    for (const place of places) checkRestored(set, path.join(stateOf(folder, place), 'restored'));
    rmSync(folder, { recursive: true });
  }
  return lines;
}

function enroll(state: string, token: string): void {
  const { status, stderr } = spawnSync(process.execPath, [engine, 'enroll', state, token], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the device was not enrolled: ${stderr}`);
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
    placesOf(values.to).flatMap((place) =>
      steps.map((step) =>
        rowOf(
          set,
          lines.filter((l) => l.set === set.name && l.place === place && l.step === step),
        ),
      ),
    ),
  );
  print(
    '| files | to | step | holdfast s | restic s | restic / holdfast | cpu s, ours / theirs | resident MB, ours / theirs |',
  );
  print('| --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const row of rows) print(row);
  if (values.json) writeFileSync(values.json, JSON.stringify({ seed: values.seed, sets, lines }, null, 2));
}

function rowOf(set: DataSet, lines: readonly Line[]): string {
  const spread = (pick: (line: Line) => number, digits?: number) => formatSpread(spreadOf(lines.map(pick)), digits);
  const cells = [
    set.name,
    lines[0]!.place,
    lines[0]!.step,
    spread((line) => line.holdfast.wallSeconds),
    spread((line) => line.restic.wallSeconds),
    spread((line) => line.restic.wallSeconds / line.holdfast.wallSeconds),
    `${spread((line) => line.holdfast.cpuSeconds, 1)} / ${spread((line) => line.restic.cpuSeconds, 1)}`,
    `${spread((line) => line.holdfast.residentMB, 0)} / ${spread((line) => line.restic.residentMB, 0)}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

await main();
