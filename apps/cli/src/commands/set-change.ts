import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { createOutput } from '../output.ts';
import {
  absolutePaths,
  changedText,
  destinationsOf,
  fieldsOf,
  type SetAnswer,
  type SetChanged,
  type SetOptions,
  withSetOptions,
} from './set-fields.ts';

type Options = SetOptions & {
  readonly add?: readonly string[];
  readonly drop?: readonly string[];
  readonly rename?: string;
  readonly unexclude?: readonly string[];
};

/** `holdfast set change`. */
export function registerSetChange(set: Command): void {
  withSetOptions(
    set
      .command('change')
      .description('change what a backup set protects; versions that are stored stay')
      .argument('<name>')
      .option('--add <path...>', 'protect these, too')
      .option('--drop <path...>', 'protect these no longer')
      .option('--unexclude <pattern...>', 'leave these out no longer')
      .option('--rename <name>', 'give the set another name'),
  ).action(async (name: string, options: Options) => {
    const { sets } = await ask<{ sets: readonly SetAnswer[] }>('set.list');
    const before = sets.find((each) => each.name === name);
    const result = await ask<SetChanged>('set.change', {
      name,
      set: { ...changes(before, options), ...(await destinationsOf(options)) },
    });
    createOutput(options.json ?? false).result(result, changedText(result));
  });
}

/** What is to be different; a set that is not there is the agent's to refuse. */
function changes(before: SetAnswer | undefined, options: Options): Readonly<Record<string, unknown>> {
  const { add = [], drop = [], unexclude = [], rename } = options;
  const kept = before?.excludes.filter(({ pattern }) => !unexclude.includes(pattern));
  const includes = [...(before?.includes ?? []), ...absolutePaths(add)];
  const dropped = absolutePaths(drop);
  const unknown = [
    ...dropped.filter((path) => !includes.includes(path)),
    ...unexclude.filter((pattern) => !before?.excludes.some((rule) => rule.pattern === pattern)),
  ];
  if (before && unknown.length > 0) {
    throw commandErrors.invalid({ reason: `the set does not have ${unknown.join(', ')}`, remedy: 'holdfast set list' });
  }
  return {
    ...(add.length + drop.length > 0 && { includes: includes.filter((path) => !dropped.includes(path)) }),
    ...(unexclude.length > 0 && { excludes: kept }),
    ...fieldsOf(options, kept),
    ...(rename !== undefined && { name: rename }),
  };
}
