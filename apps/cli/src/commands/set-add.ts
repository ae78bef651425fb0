import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import {
  absolutePaths,
  changedText,
  destinationsOf,
  fieldsOf,
  type SetChanged,
  type SetOptions,
  withSetOptions,
} from './set-fields.ts';

/** `holdfast set add`. */
export function registerSetAdd(set: Command): void {
  withSetOptions(
    set
      .command('add')
      .description('protect more folders; without --exclude the usual exclusions (caches, trash) hold')
      .argument('<name>')
      .argument('<path...>', 'folders or files to protect'),
  ).action(async (name: string, paths: readonly string[], options: SetOptions) => {
    const includes = absolutePaths(paths);
    const given = { name, includes, ...fieldsOf(options, undefined), ...(await destinationsOf(options)) };
    const result = await ask<SetChanged>('set.add', { set: given });
    createOutput(options.json ?? false).result(result, changedText(result));
  });
}
