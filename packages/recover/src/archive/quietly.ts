import { RecoverError } from '../errors.ts';

/** The outcome of a reading, undefined where the structure is corrupt: another copy may hold. */
export function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RecoverError) return undefined;
    throw error;
  }
}
