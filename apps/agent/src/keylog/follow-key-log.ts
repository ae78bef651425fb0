import { CodedError, systemClock, type Clock } from '@holdfast/base';
import { ownKeyLogRoutes, type KeyLogHead } from '@holdfast/contract';
import {
  emptyTree,
  openCheckpoint,
  parseVerifierKey,
  rootOf,
  verifyConsistency,
  type Checkpoint,
  type TreeState,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keyLogErrors } from './errors.ts';
import type { Evidence, KeyLogBook, OwnLeaf, ShownHead } from './key-log-book.ts';
import { learn, type EnrolledDevice } from './learn.ts';
import { leafOf, readLeaves, type ReadLeavesOptions } from './read-leaves.ts';

/** What following a key log needs. */
export type FollowKeyLogOptions = Omit<ReadLeavesOptions, 'onPage'> & {
  readonly client: Pick<CloudClient, 'call'>;
  readonly book: KeyLogBook;
  /** Who this computer is; its key as in a leaf: 32 bytes, base64url. */
  readonly device: EnrolledDevice;
  readonly clock?: Clock;
  /** Told the heads that others than the log signed, once the log was followed as far as it could be. */
  readonly onSigned?: (heads: SignedByOthers) => void;
  /** Stops it; what was read until then is read again. */
  readonly signal: AbortSignal;
};

/** Heads that witnesses cosigned, and the one that the keystore has followed. */
export type SignedByOthers = Pick<KeyLogHead, 'cosigned' | 'followed'>;

/** How it went: nothing new, so many new leaves, or a fault, which was kept. */
export type Followed =
  | { readonly status: 'unchanged' }
  | { readonly status: 'grown'; readonly leaves: number }
  | { readonly status: 'fault'; readonly error: CodedError; readonly isFirst: boolean };

/** By more leaves no log grows between two heads, nor has one that is read for the first time: they would fill the memory. */
const MOST_GROWTH = 1_000_000;
/** More leaves no log has at all: they would fill the disk. */
const MOST_LEAVES = 4_000_000;
/** So many hashes of leaves are kept with a fault: the last that came. */
const KEPT_HASH_BYTES = 32 * 4_096;

/**
 * Goes on from the last head that was checked to the one the server shows now.
 *
 * A head counts only if the pinned key signed it, it continues the one before and those that were shown before, and its root
 * is that of all leaves shown. Otherwise nothing is believed: the old head stays, the fault is kept with the head that showed
 * it, and the next time it is tried again. Where a single leaf is wrong that the head stands for, that is kept, too, and the
 * log is followed nevertheless: or whoever planted one would blind all that follow. A signed head is kept before its leaves
 * are asked for, so that one whose leaves never come is known. @throws what asking the server throws
 */
export async function followKeyLog(options: FollowKeyLogOptions): Promise<Followed> {
  const { client, book, clock = systemClock, onSigned, signal } = options;
  const { note, cosigned, followed } = await client.call(ownKeyLogRoutes.head, { signal });
  const shown: Shown = { note, ...nothingElse };
  try {
    return await goOn({ ...options, clock }, shown);
  } catch (error) {
    if (!(error instanceof CodedError) || !isFault(error)) throw error;
    // It was kept when the book was begun anew.
    if (error.code === keyLogErrors.book_damaged.code) return { status: 'fault', error, isFirst: true };
    return { status: 'fault', error, isFirst: book.noteFault(error, { ...shown, atMs: clock.now() }) };
  } finally {
    onSigned?.({ cosigned, ...(followed && { followed }) });
  }
}

/** Of a head that came alone. */
export const nothingElse = { proof: new Uint8Array(), hashesFrom: 0, hashes: new Uint8Array() };

/** What is shown with a head, as it comes. */
export type Shown = { -readonly [K in keyof Omit<Evidence, 'atMs'>]: Omit<Evidence, 'atMs'>[K] };

async function goOn(options: FollowKeyLogOptions & { readonly clock: Clock }, shown: Shown): Promise<Followed> {
  const { book, clock, subjects, device } = options;
  const { note } = shown;
  const head = openHead(book, note);
  const known = book.head();
  const from = known?.tree ?? emptyTree;
  expectNotShorter(book, from, head);
  const isReadFor = book.isReadFor(subjects, device.escrowKeys?.sha256);
  if (known && head.treeSize === from.size && isReadFor) {
    book.noteChecked(clock.now());
    return { status: 'unchanged' };
  }
  noteShown(book, head, shown, clock.now());
  if (head.treeSize > from.size) await expectContinued(options, { from, head, shown });
  const fault = await readOn(options, { head, from: isReadFor ? from : undefined, shown });
  return fault ?? { status: 'grown', leaves: head.treeSize - from.size };
}

/**
 * Reads the leaves up to a head and goes on to it: from the last head on, or from the first leaf on, since who is somebody
 * else now has to find what all leaves say of it.
 */
async function readOn(
  options: FollowKeyLogOptions & { readonly clock: Clock },
  { head, from, shown }: { readonly head: Checkpoint; readonly from: TreeState | undefined; readonly shown: Shown },
): Promise<Followed | undefined> {
  const { book, clock } = options;
  const kept = { known: book.head()?.tree.size ?? 0, keptText: from ? book.ownTextLength() : 0 };
  const stretch = { from: from ?? emptyTree, to: head, ...kept, shown: book.shownHeads() };
  const read = await readLeaves({ ...options, onPage }, stretch);
  if (read.parted) throw forkedFrom(read.parted, head.treeSize, shown);
  const atMs = clock.now();
  const before = { ownKey: from && book.ownKey(), escrowKeys: from && book.escrowKeys() };
  const reading = learn(read, { ...options, ...before, nowMs: atMs });
  const verified = { note: shown.note, tree: read.tree, verifiedAtMs: atMs };
  const [isFirst = false] = book.advance(verified, read.pages, reading, { ...shown, atMs });
  const [error] = reading.faults;
  return error && { status: 'fault', error, isFirst };

  function onPage({ first, hashes }: { readonly first: number; readonly hashes: Uint8Array }): void {
    const bytes = Buffer.concat([shown.hashes, hashes]);
    shown.hashes = bytes.subarray(-KEPT_HASH_BYTES);
    shown.hashesFrom = first + (hashes.length - shown.hashes.length) / 32;
  }
}

function isFault({ code, kind }: CodedError): boolean {
  return kind === 'corrupt' && Object.values(keyLogErrors).some((maker) => maker.code === code);
}

/** @throws key_log.head_unsigned */
export function openHead({ pinned: { origin, verifier } }: KeyLogBook, note: string): Checkpoint {
  try {
    return openCheckpoint(note, origin, [parseVerifierKey(verifier)]);
  } catch (error) {
    throw keyLogErrors.head_unsigned({}, error);
  }
}

/**
 * Keeps that a head was shown which is longer than what is known; what it contradicts is added to what is shown.
 *
 * One that no log can have is not missed, or it would be for ever. @throws key_log.too_long, key_log.forked
 */
export function noteShown(book: KeyLogBook, { treeSize, root }: Checkpoint, shown: Shown, atMs: number): void {
  const known = book.head()?.tree.size ?? 0;
  if (treeSize - known > MOST_GROWTH || treeSize > MOST_LEAVES) throw keyLogErrors.too_long({ known, shown: treeSize });
  const other = treeSize > known && book.noteShown({ note: shown.note, treeSize, root }, atMs);
  if (other) throw forkedFrom(other, treeSize, shown);
}

/** Two signed heads that no log has both: each was shown, and one of them may be without its leaves. */
function forkedFrom({ note, treeSize }: ShownHead, shownSize: number, shown: Shown): CodedError {
  shown.against = note;
  return keyLogErrors.forked({ known: treeSize, shown: shownSize });
}

/** A shorter log is none that goes on; one with other leaves is another log. */
function expectNotShorter(book: KeyLogBook, known: TreeState, head: Checkpoint): void {
  expectSameLeaves(book, head);
  if (head.treeSize < known.size) throw keyLogErrors.shrunk({ known: known.size, shown: head.treeSize });
}

/** The leaves that are known decide, as far as a head is about them. @throws key_log.forked */
export function expectSameLeaves(book: KeyLogBook, { treeSize, root }: Checkpoint): void {
  const known = book.head()?.tree ?? emptyTree;
  if (treeSize > known.size) return;
  const isPart = treeSize > 0 && treeSize < known.size;
  const ownRoot = isPart ? book.rootAt(treeSize) : rootOf(treeSize === 0 ? emptyTree : known);
  if (Buffer.compare(ownRoot, root) !== 0) throw keyLogErrors.forked({ known: known.size, shown: treeSize });
}

async function expectContinued(
  { client, signal }: FollowKeyLogOptions,
  { from, head, shown }: { readonly from: TreeState; readonly head: Checkpoint; readonly shown: Shown },
): Promise<void> {
  if (from.size === 0) return;
  const { treeSize, root } = head;
  const query = { fromSize: String(from.size), toSize: String(treeSize) };
  const { proof } = await client.call(ownKeyLogRoutes.consistency, { query, signal });
  const hashes = proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')));
  shown.proof = Buffer.concat(hashes);
  const claim = { fromSize: from.size, fromRoot: rootOf(from), toSize: treeSize, toRoot: root };
  if (!verifyConsistency(claim, hashes)) throw keyLogErrors.forked({ known: from.size, shown: treeSize });
}

/** A leaf as people and programs read it: `at` is missing, and the kind `unknown`, where this version does not know it. */
export type ShownOwnLeaf = {
  readonly logIndex: number;
  readonly at?: string;
  readonly kind: string;
  readonly text: string;
};

/** Reads the text of a leaf as far as this version knows it. */
export function describeLeaf({ logIndex, text }: OwnLeaf): ShownOwnLeaf {
  const { at, kind } = leafOf(text) ?? { kind: 'unknown' };
  return { logIndex, ...(at !== undefined && { at }), kind, text };
}
