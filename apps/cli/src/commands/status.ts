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
  readonly recoveryCode: { readonly state: string; readonly reason?: string; readonly remedy?: string };
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

function statusText({ standings, recoveryCode, watching }: Status, output: Output): string {
  const lines = standings.flatMap((standing) => {
    const { set, destination, state, reason, remedy, completeAt, loss } = standing;
    const where = destination === undefined ? '' : ` at ${destination}`;
    return [
      `${output.strong(state.replace('_', ' '))}  ${set}${where}: ${reason}`,
      ...(completeAt === undefined ? [] : [`  complete as of ${timeText(completeAt)}`]),
      ...(loss === undefined ? [] : [lossText(loss)]),
      ...(remedy === undefined ? [] : [`  What to do: ${remedy}`]),
    ];
  });
  if (standings.length === 0) lines.push('There is no backup set. What to do: holdfast set add NAME FOLDER...');
  const { reason, remedy } = recoveryCode;
  if (reason !== undefined) lines.push(`${output.strong('no recovery code')}  ${reason}`, `  What to do: ${remedy}`);
  if (watching.notWatched > 0) {
    lines.push(`${watching.notWatched} folders are looked at every 15 minutes: the system gives no more watches`);
  }
  lines.push(`agent: ${findAgentSocket()}, watching ${watching.directories} folders`);
  return lines.join('\n');
}

function lossText({ at, fromCommit, toCommit }: NonNullable<Standing['loss']>): string {
  const commits = fromCommit === toCommit ? `commit ${toCommit}` : `commits ${fromCommit} to ${toCommit}`;
  return `  on ${timeText(at)} it no longer had ${commits}, which it had acknowledged; what is still on this computer was sent again`;
}
