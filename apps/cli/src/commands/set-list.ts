import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import { type SetAnswer, setText } from './set-fields.ts';

/** `holdfast set list`. */
export function registerSetList(set: Command): void {
  set
    .command('list')
    .description('list the backup sets of this computer')
    .action(async (options: { readonly json?: boolean }) => {
      const result = await ask<{ sets: readonly SetAnswer[] }>('set.list');
      const text = result.sets.length === 0 ? 'There is no backup set.' : result.sets.map(setText).join('\n\n');
      createOutput(options.json ?? false).result(result, text);
    });
}
