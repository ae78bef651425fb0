import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';

type Why = {
  readonly path: string;
  readonly status: 'selected' | 'on_the_way' | 'excluded' | 'outside';
  readonly sets?: readonly string[];
  readonly set?: string;
  readonly pattern?: string;
  readonly reason?: string;
  readonly newest?: { readonly from?: string; readonly until?: string };
  readonly problem?: { readonly message: string };
};

/** `holdfast why`: whether a path is protected, and by or against which rule. */
export function registerWhy(program: Command): void {
  program
    .command('why')
    .description('say whether a path is protected, and by or against which rule')
    .argument('<path>')
    .action(async (path: string, options: { readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const why = await ask<Why>('why', { path: absolutePath(path) });
      output.result(why, whyText(why));
    });
}

function whyText(why: Why): string {
  const { path, newest, problem, status } = why;
  const lines = [`${path}: ${ruleText(why)}`];
  if (problem) lines.push(`  It could not be read the last time: ${problem.message}`);
  if (!newest && (status === 'selected' || status === 'on_the_way')) {
    lines.push('  Nothing of it is stored that you may read: it is not there, or was not backed up yet.');
  }
  if (newest) {
    const until = newest.until === undefined ? 'and is so now' : `until ${timeText(newest.until)}`;
    lines.push(`  Its newest version is in the archive since ${timeText(newest.from)} ${until}.`);
  }
  return lines.join('\n');
}

function ruleText({ status, newest, sets = [], set, pattern, reason }: Why): string {
  if (status === 'selected')
    return `${newest ? 'protected' : 'to be protected'}, by ${sets.map((name) => `"${name}"`).join(' and ')}.`;
  if (status === 'on_the_way') return 'recorded as a folder on the way to what is protected; its other content is not.';
  if (status === 'outside')
    return 'not protected: no backup set includes it. What to do: holdfast set change NAME --add FOLDER';
  return `not protected: ${set === undefined ? 'never read' : `"${set}" leaves it out`} by the rule ${pattern} (${reason}).`;
}
