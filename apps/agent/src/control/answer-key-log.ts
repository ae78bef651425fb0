import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { cloudErrors } from '../cloud/errors.ts';
import { describeLeaf } from '../keylog/follow-key-log.ts';
import type { KeptEvidence, KeyLogBook, KeyLogFault } from '../keylog/key-log-book.ts';
import { latenessOf } from '../keylog/lateness.ts';
import { unseenNotices } from '../keylog/notices.ts';
import { remedyOf } from './remedies.ts';
import type { Asking } from './requests.ts';

/** Hashes in one item; a line stays far below a mebibyte. */
const HASHES_PER_ITEM = 10_000;

/** `key.log`: the leaves about this computer as items, and the heads that showed what was wrong; then what is known. */
export async function answerKeyLog(parts: AgentParts, _given: object, { send }: Asking): Promise<object> {
  const book = expectEnrolled(parts.keyLog);
  for (const leaf of book.ownLeaves()) await send({ item: { leaf: describeLeaf(leaf) } });
  for (const kept of book.evidence()) await send({ item: { evidence: shownEvidence(kept) } });
  return shownKeyLog(book, parts);
}

/** `key.log-seen`: takes down that whoever uses this computer has seen all that the log says of its keys up to there. */
export function answerKeyLogSeen({ keyLog }: AgentParts, { upTo }: { readonly upTo: number }): object {
  const book = expectEnrolled(keyLog);
  book.noteSeen(Math.min(upTo, book.head()?.tree.size ?? 0));
  return { seenUpTo: book.seenUpTo() };
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
  const verifiedAt = instantOf(head.verifiedAtMs);
  return { ...book.pinned, note: head.note, treeSize: size, verifiedAt, faults: book.faults().length };
}

/** What is known of the key log: for everybody, since a log that lies concerns whoever uses this computer. */
export function shownKeyLog(
  book: KeyLogBook,
  { clock, keyWitnesses, keystoreFollowing }: Pick<AgentParts, 'clock' | 'keyWitnesses' | 'keystoreFollowing'>,
): object {
  const nowMs = clock.now();
  const late = [
    ...latenessOf(book, nowMs),
    ...(keyWitnesses?.lateness(nowMs) ?? []),
    ...(keystoreFollowing?.lateness() ?? []),
  ];
  return {
    leaves: book.head()?.tree.size ?? 0,
    ...(keystoreFollowing && { followedByKeystore: keystoreFollowing.followedSize() }),
    checkedAt: book.head() && instantOf(book.checkedAtMs()),
    late: late.map(({ error, sinceMs }) => ({ ...shownError(error), since: instantOf(sinceMs) })),
    faults: book.faults().map(shownFault),
    notices: unseenNotices(book),
  };
}

function shownFault({ code, message, atMs, lastAtMs, count, details }: KeyLogFault): object {
  const shown = shownError(new CodedError({ code, kind: 'corrupt', message, details }));
  return { ...shown, at: instantOf(atMs), lastAt: instantOf(lastAtMs), count };
}

function shownError(error: CodedError): object {
  const { code, message, details } = error;
  const remedy = remedyOf(error);
  return { code, message, details, ...(remedy !== undefined && { remedy }) };
}

function shownEvidence({ atMs, proof, hashes, ...kept }: KeptEvidence): object {
  const [proofText, hashesText] = [proof, hashes].map((bytes) => Buffer.from(bytes).toString('base64'));
  return { ...kept, at: instantOf(atMs), proof: proofText, hashes: hashesText };
}

function instantOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

function expectEnrolled(book: KeyLogBook | undefined): KeyLogBook {
  if (!book) throw cloudErrors.not_enrolled();
  return book;
}
