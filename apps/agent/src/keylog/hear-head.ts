import { CodedError } from '@holdfast/base';
import { expectSameLeaves, noteShown, nothingElse, openHead, type Shown } from './follow-key-log.ts';
import { keyLogErrors } from './errors.ts';
import type { AgentLog } from '../log.ts';
import type { KeyLogBook } from './key-log-book.ts';

/** The head that was verified last, to be carried along; none where it cannot be read: what carries it matters more. */
export function headToCarry(book: KeyLogBook, log: AgentLog): string | undefined {
  try {
    return book.head()?.note;
  } catch (error) {
    log.warn('the last head of the key log cannot be read', { error: String(error) });
    return undefined;
  }
}

/** What became of a head that was heard: nothing contradicts it, it is none of this log, or it was kept as a fault. */
export type Heard =
  | { readonly status: 'consistent' | 'of_another_log' }
  | { readonly status: 'fault'; readonly error: CodedError; readonly isFirst: boolean };

/** What a head that was heard can prove. */
const proven: readonly string[] = [keyLogErrors.forked.code, keyLogErrors.too_long.code];

/**
 * Takes in a head that came by another way than from the server: with the commits of this archive that another life of this
 * device wrote, where it had verified it.
 *
 * One of another log, as of a tenant before, says nothing. One that contradicts the leaves known here, or a head that the
 * server showed, proves that the server has two logs, and is kept as a fault. A longer one the server has to show, too:
 * until then it is one that was shown without its leaves.
 */
export function hearHead(book: KeyLogBook, note: string, nowMs: number): Heard {
  const shown: Shown = { note, ...nothingElse };
  try {
    const head = openHead(book, note);
    expectSameLeaves(book, head);
    noteShown(book, head, shown, nowMs);
    return { status: 'consistent' };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === keyLogErrors.head_unsigned.code) return { status: 'of_another_log' };
    if (!proven.includes(error.code)) throw error;
    return { status: 'fault', error, isFirst: book.noteFault(error, { ...shown, atMs: nowMs }) };
  }
}
