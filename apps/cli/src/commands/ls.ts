import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { columns, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { entryRow, type ShownEntry } from './shown-entry.ts';

type Options = { readonly at?: string; readonly deleted?: boolean; readonly json?: boolean };

/** `holdfast ls`: what the archive holds at a path. */
export function registerLs(program: Command): void {
  program
    .command('ls')
    .description('list what the archive holds at a path; bytes that are no text are shown, and may be typed, as \\xNN')
    .argument('<path>', 'a folder or file, as it lies or lay on this computer')
    .option('--at <time>', 'as it was then: 2026-03-01, "2026-03-01 14:00", "2 days ago", "yesterday 14:00"')
    .option('--deleted', 'also what was deleted before')
    .action(async (path: string, options: Options) => {
      const output = createOutput(options.json ?? false);
      const entries: ShownEntry[] = [];
      const given = {
        path: absolutePath(path),
        ...(options.at !== undefined && { at: options.at }),
        ...(options.deleted && { deleted: true }),
      };
      const onItem = (item: unknown) => void entries.push(item as ShownEntry);
      const moment = await ask<{ at: string }>('ls', given, { onItem });
      const text = entries.length === 0 ? 'empty' : columns(entries.map(entryRow));
      output.note(`as of ${timeText(moment.at)}`);
      output.result({ ...moment, entries }, text);
    });
}
