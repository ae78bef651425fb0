import { type Command, InvalidArgumentError } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';

/** A backup set as the agent answers. */
export type SetAnswer = {
  readonly name: string;
  readonly includes: readonly string[];
  readonly excludes: readonly Exclude[];
  readonly commitIntervalSeconds: number;
  readonly pausedBetween?: { readonly fromMinute: number; readonly toMinute: number };
  /** Names of the destinations it goes to; every one where left out. */
  readonly destinations?: readonly string[];
};

/** What adding or changing a set answers; `missing` are paths of it that are not there just now. */
export type SetChanged = { readonly set: SetAnswer; readonly missing: readonly string[] };

/** A rule that leaves files out. */
export type Exclude = { readonly pattern: string; readonly reason: string };

/** Options that `set add` and `set change` share. */
export type SetOptions = {
  readonly exclude?: readonly string[];
  readonly reason?: string;
  readonly destination?: readonly string[];
  readonly interval?: number;
  readonly pause?: { readonly fromMinute: number; readonly toMinute: number } | null;
  readonly json?: boolean;
};

/** Declares those options. */
export function withSetOptions(command: Command): Command {
  return command
    .option('--exclude <pattern...>', 'leave out: an absolute path, or a pattern of * ** and ? by name or path')
    .option('--reason <text>', 'why it is left out; `holdfast why` shows it')
    .option('--destination <name...>', 'keep it only there, as `destination list` shows them; "all" for every one')
    .option('--interval <seconds>', 'most seconds between changes and their commit: 15 to 900', parseSeconds)
    .option(
      '--pause <from-to>',
      'hours of the day without backups, such as 09:00-17:30; "none" for no pause',
      parsePause,
    );
}

/** The fields of a set that the options name. */
export function fieldsOf(
  options: SetOptions,
  before: readonly Exclude[] | undefined,
): Readonly<Record<string, unknown>> {
  const { exclude, reason, interval, pause } = options;
  if (reason !== undefined && !exclude) {
    throw commandErrors.invalid({ reason: '--reason goes with --exclude', remedy: 'holdfast set change --help' });
  }
  const rules = (exclude ?? []).map((pattern) => ({ pattern, reason: reason ?? 'set by the administrator' }));
  return {
    ...(exclude && { excludes: [...(before ?? []), ...rules] }),
    ...(interval !== undefined && { commitIntervalSeconds: interval }),
    ...(pause !== undefined && { pausedBetween: pause }),
  };
}

/** The field of a set that `--destination` names; null where every destination is meant. */
export async function destinationsOf({ destination: given }: SetOptions): Promise<Readonly<Record<string, unknown>>> {
  if (given === undefined) return {};
  if (given.includes(allDestinations)) {
    if (given.length === 1) return { destinations: null };
    throw commandErrors.invalid({ reason: '"all" goes with no other name', remedy: 'holdfast destination list' });
  }
  const { destinations } = await ask<{ destinations: readonly { readonly name: string }[] }>('destination.list');
  const names = new Set(destinations.map(({ name }) => name));
  return { destinations: given.map((name) => (names.has(name) ? name : absolutePath(name))) };
}

const allDestinations = 'all';

/** Paths of the command line, absolute. */
export function absolutePaths(paths: readonly string[]): readonly string[] {
  return paths.map((path) => absolutePath(path));
}

/** A set for people. */
export function setText(set: SetAnswer): string {
  const { name, includes, excludes, commitIntervalSeconds, pausedBetween, destinations } = set;
  const pause =
    pausedBetween && `, paused from ${clockText(pausedBetween.fromMinute)} to ${clockText(pausedBetween.toMinute)}`;
  return [
    `${name}: commits at most every ${commitIntervalSeconds} s while changes go on${pause ?? ''}`,
    ...includes.map((include) => `  protects    ${include}`),
    ...(destinations ?? []).map((destination) => `  goes to     ${destination}`),
    ...excludes.map(({ pattern, reason }) => `  leaves out  ${pattern}  (${reason})`),
  ].join('\n');
}

/** A set that was added or changed, for people. */
export function changedText({ set, missing }: SetChanged): string {
  const warnings = missing.map((path) => `${path} is not there now; it is protected once it is.`);
  return [setText(set), ...warnings].join('\n');
}

function clockText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}

function parseSeconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of seconds.');
}

function parsePause(text: string): SetOptions['pause'] {
  if (text === 'none') return null;
  const match = /^([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (!match) throw new InvalidArgumentError('It must be like 09:00-17:30, or "none".');
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(1).map(Number) as [number, number, number, number];
  return { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute };
}
