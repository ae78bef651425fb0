/** A backup set: what is protected, what is left out and why, when, and where it goes. */
import path from 'node:path';
import { z } from 'zod';
import { problemsInWords } from '@holdfast/contract';
import { canonicalJson, type Json } from '@holdfast/trust';
import type { ExclusionRule, SelectedSet } from '@holdfast/archive';
import { setErrors } from './errors.ts';

const PathText = z
  .string()
  .min(1)
  .max(16_384)
  .refine((text) => !text.includes('\0'), 'it must not have a zero byte in it');

/** A rule that leaves files out; `why` shows the reason. */
export const ExclusionInput = z.strictObject({
  pattern: PathText,
  reason: z.string().max(500),
});

/** The definition of a set, as it is stored in the archive under `set/<number>`. */
export const BackupSet = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[^\s\p{C}][^\p{C}]*$/u, 'it must not begin with a space, or have a control character in it'),
  /** Absolute paths of folders or files. */
  includes: z.array(PathText).min(1).max(1000),
  excludes: z.array(ExclusionInput).max(1000),
  /** Most seconds between a change and its commit while changes go on: 15 s to 15 min. */
  commitIntervalSeconds: z.number().int().min(15).max(900),
  /** Names of the destinations it is bound to; every one, those added later included, where left out. */
  destinations: z.array(PathText).min(1).max(100).optional(),
  /** Daily hours in which nothing is backed up by itself, as minutes of the local day; may pass midnight. */
  pausedBetween: z.strictObject({ fromMinute: minuteOfDay(), toMinute: minuteOfDay() }).optional(),
});

/** A backup set without its number. */
export type BackupSet = z.infer<typeof BackupSet>;

/** A backup set of this device. Numbers are never used again. */
export type NumberedSet = BackupSet & { readonly number: number };

/** A set, live or removed, with the names of its destinations; every one where left out. */
export type BoundSet = { readonly number: number; readonly destinations?: readonly string[] | undefined };

function minuteOfDay() {
  return z.number().int().min(0).max(1439);
}

/**
 * A set from what somebody asked for, checked: paths are absolute and normal, and none is only what is never read.
 *
 * @throws sets.invalid, sets.path_relative, sets.path_protects_holdfast; `details.field` says where
 */
export function parseBackupSet(input: unknown, never: readonly ExclusionRule[]): BackupSet {
  const parsed = BackupSet.safeParse(input);
  if (!parsed.success) {
    const [{ field, problem }] = problemsInWords(parsed.error, input);
    throw setErrors.invalid({ field: field || 'set', problem });
  }
  const includes = parsed.data.includes.map((include, index) => {
    const field = `includes.${index}`;
    if (!include.startsWith('/')) throw setErrors.path_relative({ field, path: include });
    const normal = normalPath(include);
    const rule = never.find(({ pattern }) => isPathAtOrBelow(normal, pattern));
    if (rule) throw setErrors.path_protects_holdfast({ field, path: normal, reason: rule.reason });
    return normal;
  });
  const { destinations } = parsed.data;
  const bound = destinations && { destinations: [...new Set(destinations)].toSorted() };
  return { ...parsed.data, includes: [...new Set(includes)], ...bound };
}

/** The JSON text of a set, the same for the same set: RFC 8785. What it is bound to is a field of its own. */
export function definitionOf({ number: _number, name: _name, destinations: _bound, ...rest }: NumberedSet): string {
  return canonicalJson(JSON.parse(JSON.stringify(rest)) as Json);
}

/** A set as the engine wants it. */
export function selectedSet({ number, name, includes, excludes }: NumberedSet): SelectedSet {
  return { number, name, includes, excludes };
}

/** Whether `inner` is `outer` or lies below it; both absolute. */
export function isPathAtOrBelow(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}

/** An absolute path without doubled slashes, dots and a slash at the end; links are not followed. */
export function normalPath(text: string): string {
  const normal = path.posix.normalize(text);
  return normal.length > 1 ? normal.replace(/\/+$/, '') : normal;
}
