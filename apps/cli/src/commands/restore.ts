import { type Command, Option } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { bytesText, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';
import { planRestore, planText } from '../restore-plan.ts';

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
