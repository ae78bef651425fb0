import { DatabaseSync } from 'node:sqlite';

/** A lock held by this process until `release`, or until the process ends in whatever way. */
export type FileLock = { release(): void };

const SQLITE_BUSY = 5;

/**
 * Takes an exclusive lock named by a file, or returns undefined while another process holds it.
 *
 * The lock is the operating system's (SQLite takes it), so a killed holder leaves nothing behind that has to be judged
 * stale. Nothing else may open that file: POSIX drops the locks of a process when it closes any descriptor of the file.
 */
export function lockFile(path: string): FileLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  let held = true;
  return {
    release() {
      if (held) database.close();
      held = false;
    },
  };
}
