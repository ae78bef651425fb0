import type { z } from 'zod';

/** What is wrong with one field: `field` is its path with dots, `problem` a sentence that begins with "it". */
export type FieldProblem = { readonly field: string; readonly problem: string };

/**
 * The problems of a value that a shape refused, in words for people: which field, and what is allowed there.
 *
 * `value` is what was refused: it tells what is missing from what is wrong. A message that a shape gives a check of its own
 * begins with "it", too, and is taken as it is.
 */
export function problemsInWords(error: z.ZodError, value: unknown): readonly [FieldProblem, ...FieldProblem[]] {
  const [first, ...others] = error.issues.map((issue) => ({
    field: issue.path.map(String).join('.'),
    problem: `${isMissing(issue, value) ? 'it is missing: ' : ''}${ruleInWords(issue)}`,
  }));
  return [first ?? { field: '', problem: unknownForm }, ...others];
}

function isMissing({ code, path }: z.core.$ZodIssue, value: unknown): boolean {
  const isOfType = code === 'invalid_type' || code === 'invalid_value' || code === 'invalid_union';
  return isOfType && path.length > 0 && path.reduce(fieldOf, value) === undefined;
}

function fieldOf(value: unknown, name: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[name] : undefined;
}

function ruleInWords(issue: z.core.$ZodIssue): string {
  if (issue.message.startsWith('it ')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `it must be ${nameOfType(issue.expected)}`;
    case 'too_small':
      return tooSmall(issue.origin, Number(issue.minimum));
    case 'too_big':
      return `it must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return oneOf(issue.values.map(String));
    case 'invalid_union':
      return oneOf('options' in issue ? (issue.options ?? []).map(String) : []);
    case 'invalid_format':
      return formats[issue.format] ?? unknownForm;
    case 'unrecognized_keys':
      return `it must not have ${issue.keys.join(', ')}`;
    default:
      return unknownForm;
  }
}

/** Said of what no rule above names: a test walks all shapes, so that none of them needs it. */
const unknownForm = 'it does not have the form it must have';

const formats: Readonly<Record<string, string>> = {
  url: 'it must be an address such as https://backup.example.org',
  uuid: 'it must be a UUID, such as 018f3c52-7b1e-7c5a-9d2e-3f0a6b7c8d9e',
  guid: 'it must be a UUID, such as 018f3c52-7b1e-7c5a-9d2e-3f0a6b7c8d9e',
  base64: 'it must be base64',
  datetime: 'it must be an instant in UTC, such as 2026-03-01T14:00:00.000Z',
  lowercase: 'it must be in lower case',
};

function oneOf(values: readonly string[]): string {
  if (values.length === 0) return unknownForm;
  return values.length === 1 ? `it must be ${values[0]}` : `it must be one of ${values.join(', ')}`;
}

function tooSmall(origin: string, minimum: number): string {
  if (minimum === 1 && origin === 'string') return 'it must not be empty';
  if (minimum === 1 && origin === 'array') return 'it must name at least one';
  return `it must be at least ${minimum}${unitOf(origin)}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' entries long' : '';
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with fields',
};

function nameOfType(expected: string): string {
  return typeNames[expected] ?? `of the type ${expected}`;
}
