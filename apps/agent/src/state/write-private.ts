import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { asStateError } from '@holdfast/archive';

/**
 * Makes or replaces a small file, mode 0600, so that after a crash it is the old one or the new one, whole.
 *
 * Returns once it is on stable storage. @throws state.disk_full
 */
export function writePrivateFile(file: string, content: string): void {
  try {
    replaceFile(file, content);
  } catch (error) {
    throw asStateError(error, file);
  }
}

function replaceFile(file: string, content: string): void {
  const temporary = `${file}.new`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    const bytes = Buffer.from(content);
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
  syncFolder(path.dirname(file));
}

/** Brings the names in a folder to stable storage. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
