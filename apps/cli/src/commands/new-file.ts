import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import type { CodedError, ErrorDetails } from '@holdfast/base';

type Maker = (details?: ErrorDetails, cause?: unknown) => CodedError;

/** Writes a file that is not there yet, readable by its owner alone, to stable storage. @throws the errors given */
export function writeNewFile(
  file: string,
  content: string,
  errors: { readonly exists: Maker; readonly not_written: Maker },
): void {
  try {
    const fd = openSync(file, 'wx', 0o600);
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (isThere) throw errors.exists({ file }, error);
    throw errors.not_written({ file, problem: (error as Error).message }, error);
  }
}
