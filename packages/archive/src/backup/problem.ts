import { CodedError } from '@holdfast/base';
import type { Problem } from './messages.ts';

/** What to tell about a path that could not be protected; anything undeclared is a bug and is thrown on. */
export function problemOf(path: Uint8Array, error: unknown): Problem {
  if (!(error instanceof CodedError)) throw error;
  return { path, code: error.code, message: error.message };
}
