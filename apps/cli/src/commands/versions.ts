import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { bytesText, columns, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import type { ShownEntry } from './shown-entry.ts';

type Version = ShownEntry & { readonly commit: number; readonly from?: string; readonly until?: string };

/** `holdfast versions`: all that a path ever was. */
export function registerVersions(program: Command): void {
  program
    .command('versions')
    .description('list all versions of a file, oldest first')
    .argument('<file>', 'as it lies or lay on this computer')
    .action(async (file: string, options: { readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const result = await ask<{ versions: readonly Version[] }>('versions', { path: absolutePath(file) });
      const rows = result.versions.map(({ from, until, type, sizeBytes, modifiedAt, isFuzzy }) => [
        timeText(from),
        until === undefined ? 'until now' : `until ${timeText(until)}`,
        sizeBytes === undefined ? '-' : bytesText(sizeBytes),
        `modified ${timeText(modifiedAt)}`,
        `${type}${isFuzzy ? ' (changed while it was read)' : ''}`,
      ]);
      output.result(result, columns([['backed up', '', 'size', '', 'type'], ...rows]));
    });
}
