import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CodedError, ErrorDetails } from '@holdfast/base';

type Maker = (details?: ErrorDetails, cause?: unknown) => CodedError;

/** Writes a file that is not there yet, readable by its owner alone, to stable storage, its name too. @throws the errors given */
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
    syncFolder(path.dirname(file));
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (isThere) throw errors.exists({ file }, error);
    throw errors.not_written({ file, problem: (error as Error).message }, error);
  }
}

/** Without it a power cut may leave a new keyring, and not the name of the only key to it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
