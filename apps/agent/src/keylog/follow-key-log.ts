import { CodedError, systemClock, type Clock } from '@holdfast/base';
import { ownKeyLogRoutes } from '@holdfast/contract';
import {
  emptyTree,
  openCheckpoint,
  parseVerifierKey,
  rootAt,
  rootOf,
  verifyConsistency,
  type Checkpoint,
  type TreeState,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keyLogErrors } from './errors.ts';
import type { Evidence, KeyLogBook, OwnLeaf } from './key-log-book.ts';
import { leafOf, readLeaves, type ReadLeavesOptions } from './read-leaves.ts';

/** What following a key log needs. */
export type FollowKeyLogOptions = Omit<ReadLeavesOptions, 'onPage'> & {
  readonly client: Pick<CloudClient, 'call'>;
  readonly book: KeyLogBook;
  /** Who this computer is; its key as in a leaf: 32 bytes, base64url. */
  readonly device: { readonly deviceUid: string; readonly publicKey: string };
  readonly clock?: Clock;
  /** Stops it; what was read until then is read again. */
  readonly signal: AbortSignal;
};

/** How it went: nothing new, so many new leaves, or a fault, which was kept. */
export type Followed =
  | { readonly status: 'unchanged' }
  | { readonly status: 'grown'; readonly leaves: number }
  | { readonly status: 'fault'; readonly error: CodedError; readonly isFirst: boolean };

/** By more leaves no log grows between two heads, nor has one that is read for the first time: they would fill the memory. */
const MOST_GROWTH = 1_000_000;
/** So many hashes of leaves are kept with a fault: the last that came. */
const KEPT_HASH_BYTES = 32 * 4_096;

/**
 * Goes on from the last head that was checked to the one the server shows now.
 *
 * A head counts only if the pinned key signed it, it continues the one before, its root is that of all leaves shown, and
 * every leaf about this computer is there in full. Otherwise nothing is believed: the old head stays, the fault is kept with
 * the head that showed it, and the next time it is tried again. A signed head is kept before its leaves are asked for, so
 * that one whose leaves never come is known. @throws what asking the server throws
 */
export async function followKeyLog(options: FollowKeyLogOptions): Promise<Followed> {
  const { client, book, clock = systemClock, signal } = options;
  const { note } = await client.call(ownKeyLogRoutes.head, { signal });
  const shown = { note, ...nothingElse };
  try {
    return await goOn({ ...options, clock }, shown);
  } catch (error) {
    if (!(error instanceof CodedError) || !isFault(error)) throw error;
    return { status: 'fault', error, isFirst: book.noteFault(error, { ...shown, atMs: clock.now() }) };
  }
}

/** Of a head that came alone. */
export const nothingElse = { proof: new Uint8Array(), hashesFrom: 0, hashes: new Uint8Array() };

type Shown = { -readonly [K in Exclude<keyof Evidence, 'atMs'>]: Evidence[K] };

async function goOn(options: FollowKeyLogOptions & { readonly clock: Clock }, shown: Shown): Promise<Followed> {
  const { book, clock, subjects } = options;
  const { note } = shown;
  const head = openHead(book, note);
  const known = book.head();
  const from = known?.tree ?? emptyTree;
  expectNotShorter(book, from, head);
  const isReadFor = book.isReadFor(subjects);
  if (known && head.treeSize === from.size && isReadFor) {
    book.noteChecked(clock.now());
    return { status: 'unchanged' };
  }
  book.noteShown({ note, treeSize: head.treeSize }, clock.now());
  const growth = head.treeSize - from.size;
  if (growth > MOST_GROWTH) throw keyLogErrors.too_long({ known: from.size, shown: head.treeSize });
  if (growth > 0) await expectContinued(options, { from, head, shown });
  // Who is somebody else now has to find what all leaves say of it.
  const { pages, tree, day } = await readLeaves({ ...options, onPage }, isReadFor ? from : emptyTree, head);
  book.advance({ note, tree, verifiedAtMs: clock.now() }, pages, { subjects, day });
  if (pages.some(({ own }) => own.length > 0)) expectOwnKey(options);
  return { status: 'grown', leaves: growth };

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

/** A shorter log is none that goes on; one with other leaves is another log. */
function expectNotShorter(book: KeyLogBook, known: TreeState, head: Checkpoint): void {
  expectSameLeaves(book, head);
  if (head.treeSize < known.size) throw keyLogErrors.shrunk({ known: known.size, shown: head.treeSize });
}

/** The leaves that are known decide, as far as a head is about them. @throws key_log.forked */
export function expectSameLeaves(book: KeyLogBook, { treeSize, root }: Checkpoint): void {
  const known = book.head()?.tree ?? emptyTree;
  if (treeSize > known.size) return;
  const ownRoot = treeSize === known.size ? rootOf(known) : rootAt(book.hashes(0, treeSize), treeSize);
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

/**
 * The key of this computer is registered once. The log is followed nevertheless: it tells the truth of what the server did.
 *
 * That it is registered at all is not expected: who enrolled before there was a key log has no such leaf.
 */
function expectOwnKey({ book, device }: FollowKeyLogOptions): void {
  const registered = book.ownLeaves().flatMap(({ logIndex, text }) => {
    const leaf = leafOf(text);
    const isOurs = leaf?.kind === 'key_registered' && leaf.deviceUid === device.deviceUid;
    return isOurs ? [{ logIndex, publicKey: leaf.publicKey }] : [];
  });
  const foreign = registered.find(({ publicKey }, place) => place > 0 || publicKey !== device.publicKey);
  if (foreign) throw keyLogErrors.foreign_key(foreign);
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
