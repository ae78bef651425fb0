import type { Command } from 'commander';
import { registerDestinationAdd } from './destination-add.ts';
import { registerDestinationList } from './destination-list.ts';
import { registerDestinationRemove } from './destination-remove.ts';

/** `holdfast destination ...`: where backups go. */
export function registerDestination(program: Command): void {
  const destination = program.command('destination').description('where backups go').helpCommand(false);
  registerDestinationAdd(destination);
  registerDestinationList(destination);
  registerDestinationRemove(destination);
}
