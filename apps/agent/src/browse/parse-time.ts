import { defineErrors } from '@holdfast/base';

/** What `--at` cannot be. */
export const timeErrors = defineErrors('time', {
  invalid: ['invalid', 'The time is not understood'],
  before_first: ['not_found', 'Nothing was backed up at that time yet'],
  future: ['invalid', 'That time has not come yet'],
});

/** What a person's words name: an instant, or a day, a minute or a second with its first and its last millisecond. */
export type TimeSpan = { readonly fromMs: number; readonly untilMs: number };

const unitMs: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/**
 * All that what a person writes names, in milliseconds since 1970: an ISO 8601 time, a local date or local date and time,
 * a time of today, `now`, `today` and `yesterday` with or without a time, `2 days ago`.
 *
 * @throws time.invalid
 */
export function parseTimeSpan(text: string, nowMs: number): TimeSpan {
  const words = text.trim().toLowerCase().replace(/\s+/g, ' ');
  const parsed = dayOf(words, nowMs) ?? dateOf(words) ?? instant(agoOf(words, nowMs) ?? zonedOf(text.trim()));
  if (parsed === undefined || !Number.isFinite(parsed.untilMs)) {
    throw timeErrors.invalid({
      field: 'at',
      value: text,
      remedy: 'write 2026-03-01, "2026-03-01 14:00", 14:00, "2 days ago" or "yesterday 14:00"',
    });
  }
  return parsed;
}

function instant(atMs: number | undefined): TimeSpan | undefined {
  return atMs === undefined ? undefined : { fromMs: atMs, untilMs: atMs };
}

function agoOf(words: string, nowMs: number): number | undefined {
  if (words === 'now') return nowMs;
  const match = /^(\d{1,6}|an?) (second|minute|hour|day|week|month|year)s? ago$/.exec(words);
  if (!match) return undefined;
  const count = /^an?$/.test(match[1]!) ? 1 : Number(match[1]);
  const unit = match[2]!;
  if (unitMs[unit] !== undefined) return nowMs - count * unitMs[unit];
  const date = new Date(nowMs);
  if (unit === 'month') date.setMonth(date.getMonth() - count);
  else date.setFullYear(date.getFullYear() - count);
  return date.getTime();
}

function dayOf(words: string, nowMs: number): TimeSpan | undefined {
  const match = /^(today|yesterday)(?: (?:at )?(\d{1,2}):(\d{2})(?::(\d{2}))?)?$/.exec(
    /^\d{1,2}:\d{2}/.test(words) ? `today ${words}` : words,
  );
  if (!match) return undefined;
  const now = new Date(nowMs);
  const day = now.getDate() - (match[1] === 'yesterday' ? 1 : 0);
  return localTime([now.getFullYear(), now.getMonth() + 1, day], match.slice(2));
}

function dateOf(words: string): TimeSpan | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:[t ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?$/.exec(words);
  if (!match) return undefined;
  const [year, month, day] = match.slice(1, 4).map(Number) as [number, number, number];
  const check = new Date(year, month - 1, day);
  if (check.getMonth() !== month - 1 || check.getDate() !== day) return undefined;
  return localTime([year, month, day], match.slice(4));
}

/** A day, or the minute or second of it that is named. */
function localTime(
  [year, month, day]: readonly [number, number, number],
  time: readonly (string | undefined)[],
): TimeSpan | undefined {
  const [hours, minutes, seconds] = time.map((part) => (part === undefined ? undefined : Number(part)));
  const instantOf = ([h, m, s, ms]: readonly [number, number, number, number]) =>
    new Date(year, month - 1, day, h, m, s, ms).getTime();
  if (hours === undefined || minutes === undefined) {
    return { fromMs: instantOf([0, 0, 0, 0]), untilMs: instantOf([23, 59, 59, 999]) };
  }
  if (hours > 23 || minutes > 59 || (seconds ?? 0) > 59) return undefined;
  return {
    fromMs: instantOf([hours, minutes, seconds ?? 0, 0]),
    untilMs: instantOf([hours, minutes, seconds ?? 59, 999]),
  };
}

function zonedOf(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$/i.test(text)) return undefined;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? undefined : parsed;
}
