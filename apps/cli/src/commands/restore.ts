import { lstatSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { bytesText, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';

type Options = {
  readonly at?: string;
  readonly to?: string;
  readonly onConflict: 'rename' | 'overwrite' | 'skip';
  readonly deleted?: boolean;
  readonly setuid?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
};
type Trouble = { readonly path: string; readonly message: string };
type Report = {
  readonly at: string;
  readonly restored: number;
  readonly identical: number;
  readonly skipped: number;
  readonly restoredBytes: number;
  readonly directories: number;
  readonly renamedCount: number;
  readonly renamed: readonly { readonly path: string; readonly name: string }[];
  readonly failedCount: number;
  readonly failed: readonly Trouble[];
  readonly problems: readonly Trouble[];
};
type Progress = {
  readonly restoredEntries: number;
  readonly restoredBytes: number;
  readonly keptBytes: number;
  readonly totalEntries: number;
  readonly totalBytes: number;
};

const restoreErrors = defineErrors('restore', {
  incomplete: ['corrupt', 'Not everything could be restored'],
});
const shownTroubles = 20;
const shownPlanned = 200;

/** `holdfast restore`: brings files back. */
export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('bring files and folders back, to where they were or below another folder')
    .argument('<path...>', 'as they lie or lay on this computer')
    .option('--at <time>', 'as they were then: 2026-03-01, "2 days ago", "yesterday 14:00"')
    .option('--to <folder>', 'below this folder, made where it is missing; without it, to where they were')
    .addOption(
      new Option('--on-conflict <what>', 'what to do where something else has the name')
        .choices(['rename', 'overwrite', 'skip'])
        .default('rename'),
    )
    .option('--deleted', 'also what was deleted before, as it was last')
    .option('--dry-run', 'say what would be restored and what is there already, and write nothing')
    .option('--setuid', 'give setuid bits and security attributes back (administrators only)')
    .action(async (paths: readonly string[], options: Options) => {
      const output = createOutput(options.json ?? false);
      const progress = createProgress('restore', { json: output.json });
      const given = {
        paths: paths.map((path) => absolutePath(path)),
        onConflict: options.onConflict,
        ...(options.at !== undefined && { at: options.at }),
        ...(options.to !== undefined && { to: absolutePath(options.to) }),
        ...(options.deleted && { deleted: true }),
        ...(options.setuid && { setuid: true }),
      };
      if (options.dryRun) {
        const plan = await planRestore(given);
        return output.result(plan, planText(plan, options.onConflict));
      }
      const onProgress = (found: unknown) => progress.show(progressOf(found as Progress));
      const report = await ask<Report>('restore', given, { onProgress }).finally(() => progress.end());
      output.result(report, reportText(report));
      if (report.failedCount + report.problems.length > 0)
        throw restoreErrors.incomplete({ failed: report.failedCount });
    });
}

type Planned = {
  readonly path: string;
  readonly type: string;
  readonly sizeBytes?: number;
  readonly problem?: { readonly code: string; readonly message: string };
};
type Plan = {
  readonly at: string;
  readonly dryRun: true;
  readonly entries: number;
  readonly directories: number;
  readonly totalBytes: number;
  readonly damaged: number;
  readonly planned: readonly (Planned & { readonly isThere: boolean })[];
};

/** Asks for what would be made, and looks, as whoever runs this, what has those names already. */
async function planRestore(given: Readonly<Record<string, unknown>>): Promise<Plan> {
  const { textToPath } = await import('@holdfast/agent');
  const planned: (Planned & { isThere: boolean })[] = [];
  const onItem = (item: unknown) => {
    const entry = item as Planned;
    planned.push({ ...entry, isThere: isThere(textToPath(entry.path)) });
  };
  const counts = await ask<Omit<Plan, 'planned'>>('restore', { ...given, dryRun: true }, { onItem });
  return { ...counts, planned };
}

function isThere(path: Uint8Array): boolean {
  try {
    lstatSync(Buffer.from(path));
    return true;
  } catch {
    // Not there, or not to be seen by this user, who could not write there either.
    return false;
  }
}

const afterConflict = {
  rename: 'is restored beside it, under another name',
  overwrite: 'takes its place',
  skip: 'is left out',
} as const;

function planText({ at, entries, directories, totalBytes, planned }: Plan, onConflict: Options['onConflict']): string {
  const lines = planned.map(({ path, type, sizeBytes, isThere, problem }) => {
    const size = sizeBytes === undefined ? '' : `  ${bytesText(sizeBytes)}`;
    const note = problem ? `  cannot be restored: ${problem.message}` : isThere ? '  (there already)' : '';
    return `${path}${type === 'directory' ? '/' : ''}${size}${note}`;
  });
  const more = lines.length - shownPlanned;
  const taken = planned.filter((entry) => entry.isThere && entry.type !== 'directory').length;
  return [
    ...lines.slice(0, shownPlanned),
    ...(more > 0 ? [`and ${more.toLocaleString('en')} more; --json names all`] : []),
    `as of ${timeText(at)}: ${entries} files and ${directories} folders, ${bytesText(totalBytes)}; nothing was written`,
    ...(taken > 0
      ? [`${taken} names are taken: what is the same stays as it is, what differs ${afterConflict[onConflict]}`]
      : []),
  ].join('\n');
}

function progressOf({ restoredBytes, keptBytes, totalBytes, restoredEntries, totalEntries }: Progress) {
  const detail = `${restoredEntries.toLocaleString('en')} of ${totalEntries.toLocaleString('en')} files`;
  return { doneBytes: restoredBytes + keptBytes, totalBytes, detail };
}

function reportText(report: Report): string {
  const { restored, identical, skipped, restoredBytes, directories, renamed, renamedCount, failed, problems } = report;
  const lines = [
    `as of ${timeText(report.at)}: ${restored} files and ${directories} folders, ${bytesText(restoredBytes)}`,
    ...(identical > 0 ? [`${identical} were there already`] : []),
    ...(skipped > 0 ? [`${skipped} skipped, since something else has the name`] : []),
    ...renamed.slice(0, shownTroubles).map(({ path, name }) => `${path} is now ${name}`),
    ...(renamedCount > shownTroubles ? [`and ${renamedCount - shownTroubles} more have another name`] : []),
    ...[...failed, ...problems].slice(0, shownTroubles).map(({ path, message }) => `not restored: ${path}: ${message}`),
  ];
  return lines.join('\n');
}
