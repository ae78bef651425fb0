import { CodedError } from '@holdfast/base';
import { expectSameLeaves, nothingElse, openHead } from './follow-key-log.ts';
import { keyLogErrors } from './errors.ts';
import type { KeyLogBook } from './key-log-book.ts';

/**
 * Takes in a head that came by another way than from the server: with the commits of this archive that another life of this
 * device wrote, where it had verified it.
 *
 * One of another log, as of a tenant before, says nothing. One that contradicts the leaves known here proves that the
 * server has two logs, and is kept as a fault. A longer one the server has to show, too: until then it is one that was
 * shown without its leaves.
 */
export function hearHead(book: KeyLogBook, note: string, nowMs: number): void {
  try {
    const head = openHead(book, note);
    expectSameLeaves(book, head);
    if (head.treeSize > (book.head()?.tree.size ?? 0)) book.noteShown({ note, treeSize: head.treeSize }, nowMs);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === keyLogErrors.forked.code) book.noteFault(error, { note, ...nothingElse, atMs: nowMs });
    else if (error.code !== keyLogErrors.head_unsigned.code) throw error;
  }
}
