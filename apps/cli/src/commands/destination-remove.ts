import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

/** `holdfast destination remove`. */
export function registerDestinationRemove(destination: Command): void {
  destination
    .command('remove')
    .description('send nothing there any more; what is there stays')
    .argument('<name>', 'as `destination list` shows it')
    .option('--gone', 'it is gone for good: go on without what only it held')
    .action(async (name: string, options: { readonly json?: boolean; readonly gone?: boolean }) => {
      const { destinations } = await ask<{ destinations: readonly { name: string }[] }>('destination.list');
      const known = destinations.find((each) => each.name === name || each.name === absolutePath(name));
      const result = await ask('destination.remove', {
        name: known?.name ?? name,
        ...(options.gone && { isGone: true }),
      });
      createOutput(options.json ?? false).result(
        result as object,
        `Nothing is sent to ${known?.name ?? name} any more.`,
      );
    });
}
