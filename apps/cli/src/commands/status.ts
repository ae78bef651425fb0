import type { Command } from 'commander';
import { ask, findAgentSocket } from '../agent-socket.ts';
import { timeText } from '../figures.ts';
import { createOutput, type Output } from '../output.ts';

type Standing = {
  readonly set: string;
  readonly destination?: string;
  readonly state: string;
  readonly reason: string;
  readonly remedy?: string;
  readonly completeAt?: string;
  readonly loss?: { readonly at: string; readonly fromCommit: number; readonly toCommit: number };
};
type Status = {
  readonly standings: readonly Standing[];
  /** For administrators. */
  readonly recoveryCode?: { readonly state: string; readonly reason?: string; readonly remedy?: string };
  readonly unreadable: number;
  /** For administrators. */
  readonly problems?: readonly { readonly path: string; readonly message: string }[];
  readonly watching: { readonly directories: number; readonly notWatched: number };
};

/** `holdfast status`: one state, reason and remedy per backup set and destination. */
export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('how every backup set stands at every destination: state, reason, what to do')
    .action(async (options: { readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const status = await ask<Status>('status');
      output.result(status, statusText(status, output));
    });
}

/** How many of the entries that could not be read are named. */
const shownUnread = 5;

function statusText(status: Status, output: Output): string {
  const { standings, recoveryCode, watching } = status;
  const lines = standings.flatMap((standing) => {
    const { set, destination, state, reason, remedy, completeAt, loss } = standing;
    const where = destination === undefined ? '' : ` at ${destination}`;
    return [
      `${output.strong(state.replace('_', ' '))}  ${set}${where}: ${reason}`,
      ...(completeAt === undefined ? [] : [`  ${completeText(state)} as of ${timeText(completeAt)}`]),
      ...(loss === undefined ? [] : [lossText(loss)]),
      ...(remedy === undefined ? [] : [`  What to do: ${remedy}`]),
    ];
  });
  if (standings.length === 0) lines.push('There is no backup set. What to do: holdfast set add NAME FOLDER...');
  lines.push(...unreadLines(status));
  const { reason, remedy } = recoveryCode ?? {};
  if (reason !== undefined) lines.push(`${output.strong('no recovery code')}  ${reason}`, `  What to do: ${remedy}`);
  if (watching.notWatched > 0) {
    lines.push(`${watching.notWatched} folders are looked at every 15 minutes: the system gives no more watches`);
  }
  lines.push(`agent: ${findAgentSocket()}, watching ${watching.directories} folders`);
  return lines.join('\n');
}

/** What is missing was missing at that time, too. */
function completeText(state: string): string {
  return state === 'incomplete' ? 'all the rest is stored' : 'complete';
}

function unreadLines({ problems = [], unreadable }: Status): readonly string[] {
  const shown = problems.slice(0, shownUnread);
  const lines = shown.map(({ path, message }) => `not read: ${path}: ${message}`);
  const more = unreadable - shown.length;
  return shown.length > 0 && more > 0 ? [...lines, `not read: ${more} more, listed by: holdfast status --json`] : lines;
}

function lossText({ at, fromCommit, toCommit }: NonNullable<Standing['loss']>): string {
  const commits = fromCommit === toCommit ? `commit ${toCommit}` : `commits ${fromCommit} to ${toCommit}`;
  return `  on ${timeText(at)} it no longer had ${commits}, which it had acknowledged; what is still on this computer was sent again`;
}
