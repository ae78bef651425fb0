import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';

type Counts = {
  readonly files: number;
  readonly readBytes: number;
  readonly newBytes: number;
  readonly sentBytes: number;
};
type Report = Counts & {
  readonly directories: number;
  readonly selectedBytes: number;
  readonly changedNames: number;
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly moreProblems: number;
  readonly missing: readonly { readonly path: string }[];
  readonly lostDestinations: readonly string[];
  readonly standings: readonly { readonly state: string }[];
  /** The backup sets that were looked at. */
  readonly sets: readonly string[];
  /** Those that were not, since none of their destinations is there. */
  readonly leftOut: readonly string[];
};

const backupErrors = defineErrors('backup', {
  incomplete: ['unavailable', 'The backup ended, but not everything is protected'],
});

const shownProblems = 20;

/** `holdfast backup`: backs up now, waits, reports. */
export function registerBackup(program: Command): void {
  program
    .command('backup')
    .description('look at everything now, or at one backup set, back up what changed, wait, and report')
    .option('--set <name>', 'look only at what this backup set selects')
    .action(async (options: { readonly set?: string; readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const progress = createProgress('backup', { json: output.json });
      const onProgress = (counts: unknown) => progress.show(progressOf(counts as Counts));
      const given = options.set === undefined ? {} : { set: options.set };
      const report = await ask<Report>('backup', given, { onProgress }).finally(() => progress.end());
      output.result(report, reportText(report));
      const { lostDestinations, missing, problems } = report;
      if (lostDestinations.length + missing.length + problems.length > 0) {
        throw backupErrors.incomplete({ lostDestinations, remedy: 'holdfast status says what to do' });
      }
    });
}

function progressOf({ files, readBytes, newBytes }: Counts) {
  return { doneBytes: readBytes, detail: `${files.toLocaleString('en')} files looked at, ${bytesText(newBytes)} new` };
}

/** What the agent had sent before by itself is stored as well: the counts alone look as if nothing had been. */
function storedText({ standings }: Report): readonly string[] {
  const isStored = standings.length > 0 && standings.every(({ state }) => state === 'protected');
  return isStored ? ['everything is stored, with what was sent before by itself'] : [];
}

function reportText(report: Report): string {
  const { sets, files, directories, selectedBytes, changedNames, newBytes, sentBytes, problems, missing } = report;
  const lines = [
    `looked at ${sets.map((set) => `"${set}"`).join(', ')}`,
    `${files.toLocaleString('en')} entries in ${directories.toLocaleString('en')} folders, ${bytesText(selectedBytes)}`,
    `${changedNames.toLocaleString('en')} changed since the last look, ${bytesText(newBytes)} new, ${bytesText(sentBytes)} sent`,
    ...storedText(report),
    ...report.leftOut.map((set) => `left out: "${set}", none of its destinations is there`),
    ...missing.map(({ path }) => `not there: ${path}`),
    ...problems.slice(0, shownProblems).map(({ path, message }) => `not read: ${path}: ${message}`),
  ];
  const more = problems.length - shownProblems + report.moreProblems;
  return (more > 0 ? [...lines, `and ${more} more that could not be read`] : lines).join('\n');
}
