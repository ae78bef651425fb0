import type { Command } from 'commander';
import { ask, findAgentSocket } from '../agent-socket.ts';
import { type Damage, damagedText, type Loss, lossText } from '../damage-text.ts';
import { timeText } from '../figures.ts';
import { createOutput, type Output } from '../output.ts';
import { keyLogLines, type KeyLogStanding } from './key-log-lines.ts';

type Standing = {
  readonly set: string;
  readonly destination?: string;
  readonly state: string;
  readonly reason: string;
  readonly remedy?: string;
  readonly completeAt?: string;
  readonly loss?: Loss;
  /** What verifying found there and could not mend; which records, for administrators. */
  readonly damage?: { readonly at: string; readonly count: number; readonly records?: readonly Damage[] };
};
type Status = {
  readonly standings: readonly Standing[];
  /** For administrators. */
  readonly recoveryCode?: { readonly state: string; readonly reason?: string; readonly remedy?: string };
  /** For administrators. */
  readonly keys?: { readonly escrow: { readonly state: string; readonly reason: string; readonly remedy?: string } };
  readonly unreadable: number;
  /** Where the agent is enrolled. */
  readonly keyLog?: KeyLogStanding;
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
const shownDamage = 5;

function statusText(status: Status, output: Output): string {
  const { standings, recoveryCode, watching } = status;
  const lines = standings.flatMap((standing) => {
    const { set, destination, state, reason, remedy, completeAt, loss, damage } = standing;
    const where = destination === undefined ? '' : ` at ${destination}`;
    return [
      `${output.strong(state.replace('_', ' '))}  ${set}${where}: ${reason}`,
      ...(completeAt === undefined ? [] : [`  ${completeText(state)} as of ${timeText(completeAt)}`]),
      ...(loss === undefined ? [] : [lossText(loss)]),
      ...(damage === undefined ? [] : damageLines(damage)),
      ...(remedy === undefined ? [] : [`  What to do: ${remedy}`]),
    ];
  });
  if (standings.length === 0) lines.push('There is no backup set. What to do: holdfast set add NAME FOLDER...');
  lines.push(...unreadLines(status));
  if (status.keyLog) lines.push(...keyLogLines(status.keyLog, (text) => output.strong(text)));
  const { reason, remedy } = recoveryCode ?? {};
  if (reason !== undefined) lines.push(`${output.strong('no recovery code')}  ${reason}`, `  What to do: ${remedy}`);
  lines.push(...escrowLines(status, output));
  if (watching.notWatched > 0) {
    lines.push(`${watching.notWatched} folders are looked at every 15 minutes: the system gives no more watches`);
  }
  lines.push(`agent: ${findAgentSocket()}, watching ${watching.directories} folders`);
  return lines.join('\n');
}

const quietEscrow: readonly string[] = ['in_place', 'off', 'no_keys', 'not_heard'];

/** Escrow where it is not as the organisation asks, or not yet. */
function escrowLines({ keys }: Status, output: Output): readonly string[] {
  if (!keys || quietEscrow.includes(keys.escrow.state)) return [];
  const { reason, remedy } = keys.escrow;
  return [`${output.strong('escrow')}  ${reason}`, ...(remedy === undefined ? [] : [`  What to do: ${remedy}`])];
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

function damageLines({ at, count, records = [] }: NonNullable<Standing['damage']>): readonly string[] {
  const shown = records.slice(0, shownDamage).map((record) => `  ${damagedText(record)}`);
  const more = count - shown.length;
  const rest = shown.length > 0 && more > 0 ? [`  and ${more} more, listed by: holdfast status --json`] : [];
  return [`  found on ${timeText(at)}:`, ...shown, ...rest];
}
