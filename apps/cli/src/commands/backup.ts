import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { type BackupCounts, type BackupReport, backupText, isIncomplete } from '../backup-report.ts';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';

const backupErrors = defineErrors('backup', {
  incomplete: ['unavailable', 'The backup ended, but not everything is protected'],
});

/** `holdfast backup`: backs up now, waits, reports. */
export function registerBackup(program: Command): void {
  program
    .command('backup')
    .description('look at everything now, or at one backup set, back up what changed, wait, and report')
    .option('--set <name>', 'look only at what this backup set selects')
    .action(async (options: { readonly set?: string; readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const progress = createProgress('backup', { json: output.json });
      const onProgress = (counts: unknown) => progress.show(progressOf(counts as BackupCounts));
      const given = options.set === undefined ? {} : { set: options.set };
      const report = await ask<BackupReport>('backup', given, { onProgress }).finally(() => progress.end());
      output.result(report, backupText(report));
      if (isIncomplete(report)) {
        const { lostDestinations } = report;
        throw backupErrors.incomplete({ lostDestinations, remedy: 'holdfast status says what to do' });
      }
    });
}

function progressOf({ files, readBytes, newBytes }: BackupCounts) {
  return { doneBytes: readBytes, detail: `${files.toLocaleString('en')} files looked at, ${bytesText(newBytes)} new` };
}
