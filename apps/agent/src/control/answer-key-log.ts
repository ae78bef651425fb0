import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { cloudErrors } from '../cloud/errors.ts';
import { describeLeaf } from '../keylog/follow-key-log.ts';
import type { KeyLogBook, KeyLogFault } from '../keylog/key-log-book.ts';
import { remedyOf } from './remedies.ts';
import type { Asking } from './requests.ts';

/** Hashes in one item; a line stays far below a mebibyte. */
const HASHES_PER_ITEM = 10_000;

/** `key.log`: the leaves about this computer as items, then what is known of the log. */
export async function answerKeyLog({ keyLog }: AgentParts, _given: object, { send }: Asking): Promise<object> {
  const book = expectEnrolled(keyLog);
  for (const leaf of book.ownLeaves()) await send({ item: describeLeaf(leaf) });
  return { ...shownKeyLog(book), evidence: book.faults().map(({ code, note }) => ({ code, note })) };
}

/** `key.log-head`: the hashes of all leaves as items (base64), then the head, signed, and the key that counts. */
export async function answerKeyLogHead({ keyLog }: AgentParts, _given: object, { send }: Asking): Promise<object> {
  const book = expectEnrolled(keyLog);
  const head = book.head();
  if (!head) throw cloudErrors.key_log_unseen();
  const { size } = head.tree;
  for (let from = 0; from < size; from += HASHES_PER_ITEM) {
    const hashes = book.hashes(from, Math.min(size, from + HASHES_PER_ITEM));
    await send({ item: { hashes: Buffer.concat(hashes).toString('base64') } });
  }
  return { ...book.pinned, note: head.note, treeSize: size };
}

/** What is known of the key log: for everybody, since a log that lies concerns whoever uses this computer. */
export function shownKeyLog(book: KeyLogBook): object {
  const head = book.head();
  return {
    leaves: head?.tree.size ?? 0,
    ...(head && { verifiedAt: new Date(head.verifiedAtMs).toISOString() }),
    faults: book.faults().map(shownFault),
  };
}

function shownFault({ code, message, atMs, details }: KeyLogFault): object {
  const remedy = remedyOf(new CodedError({ code, kind: 'corrupt', message, details }));
  return { code, message, at: new Date(atMs).toISOString(), details, ...(remedy !== undefined && { remedy }) };
}

function expectEnrolled(book: KeyLogBook | undefined): KeyLogBook {
  if (!book) throw cloudErrors.not_enrolled();
  return book;
}
