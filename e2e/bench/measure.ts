/** Measuring processes from outside, and what is said of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** One run of one process: wall and processor seconds, and the greatest resident memory of the process. */
export type Figures = { readonly wallSeconds: number; readonly cpuSeconds: number; readonly residentMB: number };

const timeProgram = '/usr/bin/time';

/** Runs a command to its end, after everything earlier reached the disk. @throws when it fails or GNU time is missing */
export function measure(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Figures {
  if (!existsSync(timeProgram)) throw new Error('install the package "time": it measures memory');
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-measure-'));
  const out = path.join(folder, 'figures');
  try {
    spawnSync('sync');
    const run = spawnSync(timeProgram, ['-o', out, '-f', '%e %U %S %M', ...command], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 600_000,
    });
    if (run.status !== 0) throw new Error(`${command.join(' ')} failed: ${run.stderr.toString()}`);
    // A command that fails writes lines of its own before the figures.
    const line = readFileSync(out, 'utf8').trim().split('\n').at(-1) ?? '';
    const [wall = 0, user = 0, system = 0, kib = 0] = line.split(' ').map(Number);
    return { wallSeconds: wall, cpuSeconds: user + system, residentMB: (kib * 1024) / 1e6 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Least, middle and greatest of some numbers. */
export type Spread = { readonly min: number; readonly median: number; readonly max: number };

/** The spread of at least one number. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle) - 1)) / 2;
  return { min: at(0), median, max: at(sorted.length - 1) };
}

/** `1.23 (1.10 to 1.40)`. */
export function formatSpread({ min, median, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}
