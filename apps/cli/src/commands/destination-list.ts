import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';

type Destination = {
  readonly name: string;
  readonly kind: string;
  readonly archiveFolder?: string;
  readonly status: string;
  readonly reason?: string;
};

/** `holdfast destination list`. */
export function registerDestinationList(destination: Command): void {
  destination
    .command('list')
    .description('list the destinations and whether they are there')
    .action(async (options: { readonly json?: boolean }) => {
      const result = await ask<{ destinations: readonly Destination[] }>('destination.list');
      const lines = result.destinations.map(({ name, kind, status, reason, archiveFolder }) => {
        const why = reason === undefined ? '' : `: ${reason}`;
        return `${name} (${kind})  ${status.replace('_', ' ')}${why}${archiveFolder === undefined ? '' : `\n  ${archiveFolder}`}`;
      });
      const text =
        lines.length === 0 ? 'There is no destination. What to do: holdfast destination add FOLDER' : lines.join('\n');
      createOutput(options.json ?? false).result(result, text);
    });
}
