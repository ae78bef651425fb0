import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

/** `holdfast set remove`. */
export function registerSetRemove(set: Command): void {
  set
    .command('remove')
    .description('protect a backup set no longer; its versions stay in the archive')
    .argument('<name>')
    .action(async (name: string, options: { readonly json?: boolean }) => {
      const result = await ask('set.remove', { name });
      createOutput(options.json ?? false).result(result as object, `The backup set "${name}" is removed.`);
    });
}
