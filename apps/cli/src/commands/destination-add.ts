import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

type Added = {
  readonly name: string;
  readonly archiveFolder: string;
  readonly excludedFromSets: readonly string[];
};

/** `holdfast destination add`. */
export function registerDestinationAdd(destination: Command): void {
  destination
    .command('add')
    .description('keep the archive in a folder, too: a disk, a share; it gets all that is stored so far')
    .argument('<folder>', 'a folder that is there; the archive gets a folder of its own in it')
    .action(async (folder: string, options: { readonly json?: boolean }) => {
      const added = await ask<Added>('destination.add', { folder: absolutePath(folder) });
      const lines = [`Backups go to ${added.name}, too. The archive is ${added.archiveFolder}.`];
      for (const set of added.excludedFromSets) {
        lines.push(`The folder lies inside what "${set}" protects, and is itself left out of the backup.`);
      }
      createOutput(options.json ?? false).result(added, lines.join('\n'));
    });
}
