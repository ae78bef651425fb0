import type { Command } from 'commander';
import { registerSetAdd } from './set-add.ts';
import { registerSetChange } from './set-change.ts';
import { registerSetList } from './set-list.ts';
import { registerSetRemove } from './set-remove.ts';

/** `holdfast set ...`: what is protected. */
export function registerSet(program: Command): void {
  const set = program
    .command('set')
    .description('backup sets: what is protected, and what is left out')
    .helpCommand(false);
  registerSetList(set);
  registerSetAdd(set);
  registerSetChange(set);
  registerSetRemove(set);
}
