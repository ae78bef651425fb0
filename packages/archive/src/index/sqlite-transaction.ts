/** Transactions of SQLite files, and what a disk without room does to them. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { isDiskFull } from '../log/disk.ts';
import { indexErrors } from './errors.ts';

/** Primary result codes, https://www.sqlite.org/rescode.html: the low byte of what `errcode` says. */
const sqliteFull = 13;
const sqliteIoFailed = 10;
const sqliteCannotOpen = 14;
const probeBytes = 64 * 1024;

/**
 * Runs `work` as one transaction. SQLite ends a transaction by itself where there is no room for it: what failed is what
 * is thrown then, and not that there is nothing to roll back.
 *
 * @throws state.disk_full
 */
export function transactIn<T>(db: DatabaseSync, work: () => T): T {
  begin(db);
  try {
    const result = work();
    db.exec('commit');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('rollback');
    throw asStateError(error, db.location() ?? '');
  }
}

function begin(db: DatabaseSync): void {
  try {
    db.exec('begin immediate');
  } catch (error) {
    throw asStateError(error, db.location() ?? '');
  }
}

/** Declares what SQLite, or a write, threw for want of room on the disk of `file`; anything else comes back as it is. */
export function asStateError(error: unknown, file: string): unknown {
  if (!isDiskFull(error) && !isSqliteFull(error, file)) return error;
  const remedy = "make room on the disk of the agent's state; it goes on by itself";
  return indexErrors.disk_full({ file, remedy }, error);
}

function isSqliteFull(error: unknown, file: string): boolean {
  const code = (error as { readonly errcode?: unknown } | undefined)?.errcode;
  if (typeof code !== 'number') return false;
  const primary = code & 0xff;
  if (primary === sqliteFull) return true;
  // Quotas, and memory that processes share, are reported as failed input and output.
  return (primary === sqliteIoFailed || primary === sqliteCannotOpen) && isNoRoomBeside(file);
}

/** Whether a little more can be written beside a file. */
function isNoRoomBeside(file: string): boolean {
  const probe = `${file}.room`;
  try {
    const fd = openSync(probe, 'w', 0o600);
    try {
      for (let at = 0; at < probeBytes;) at += writeSync(fd, new Uint8Array(probeBytes - at));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return false;
  } catch (error) {
    return isDiskFull(error);
  } finally {
    rmSync(probe, { force: true });
  }
}
