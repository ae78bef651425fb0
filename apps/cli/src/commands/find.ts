import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { columns, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { entryRow, type ShownEntry } from './shown-entry.ts';

type Options = { readonly at?: string; readonly deleted?: boolean; readonly json?: boolean };

/** `holdfast find`: entries of the archive by name. */
export function registerFind(program: Command): void {
  program
    .command('find')
    .description('find entries of the archive by name; with a slash in the pattern, by path')
    .argument('<glob>', '* stands for any run of characters but /, ** for any run, ? for one')
    .option('--at <time>', 'as it was then')
    .option('--deleted', 'also what was deleted before; holdfast versions PATH then says when')
    .action(async (pattern: string, options: Options) => {
      const output = createOutput(options.json ?? false);
      const entries: ShownEntry[] = [];
      const given = {
        pattern,
        ...(options.at !== undefined && { at: options.at }),
        ...(options.deleted && { deleted: true }),
      };
      const moment = await ask<{ at: string }>('find', given, {
        onItem: (item) => void entries.push(item as ShownEntry),
      });
      output.note(`as of ${timeText(moment.at)}`);
      output.result({ ...moment, entries }, entries.length === 0 ? 'nothing found' : columns(entries.map(entryRow)));
    });
}
