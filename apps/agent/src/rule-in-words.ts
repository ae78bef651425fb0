import type { z } from 'zod';

/**
 * What is wrong with a value, as a sentence about it that begins with "it": the rule, in words for people. A message
 * that a shape gives a check of its own begins so, too, and is taken as it is.
 */
export function ruleInWords(issue: z.core.$ZodIssue): string {
  if (issue.message.startsWith('it ')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `it must be ${nameOfType(issue.expected)}`;
    case 'too_small':
      return tooSmall(issue.origin, Number(issue.minimum));
    case 'too_big':
      return `it must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return `it must be one of ${issue.values.map(String).join(', ')}`;
    case 'unrecognized_keys':
      return `it must not have ${issue.keys.join(', ')}`;
    default:
      return 'it does not have the form it must have';
  }
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
