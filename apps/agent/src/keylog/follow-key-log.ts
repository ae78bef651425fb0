import { CodedError, systemClock, type Clock } from '@holdfast/base';
import { KEY_LOG_PAGE, ownKeyLogRoutes } from '@holdfast/contract';
import {
  appendLeaves,
  emptyTree,
  isAbout,
  isOutline,
  isTextOf,
  openCheckpoint,
  outlineHash,
  parseKeyLogLeaf,
  parseVerifierKey,
  rootAt,
  rootOf,
  verifyConsistency,
  type Checkpoint,
  type Hash,
  type LeafOutline,
  type TreeState,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keyLogErrors } from './errors.ts';
import type { KeyLogBook, SeenLeaf } from './key-log-book.ts';

/** What following a key log needs. */
export type FollowKeyLogOptions = {
  readonly client: Pick<CloudClient, 'call'>;
  readonly book: KeyLogBook;
  /** Whom leaves are about that this computer has to see: its archive, itself, everybody. */
  readonly subjects: readonly string[];
  readonly clock?: Clock;
  /** Stops between two pages of leaves; what was read until then is read again. */
  readonly signal: AbortSignal;
};

/** How it went: nothing new, so many new leaves, or a fault, which was kept. */
export type Followed =
  | { readonly status: 'unchanged' }
  | { readonly status: 'grown'; readonly leaves: number }
  | { readonly status: 'fault'; readonly error: CodedError; readonly isFirst: boolean };

/** A page of leaves as the server shows them. */
type ShownLeaf = { readonly outline: string; readonly body?: string | undefined };

/**
 * Goes on from the last head that was checked to the one the server shows now.
 *
 * A head counts only if the pinned key signed it, it continues the one before, its root is that of all leaves shown, and
 * every leaf about this computer is there in full. Otherwise nothing is believed: the old head stays, the fault is kept with
 * the head that showed it, and the next time it is tried again. @throws what asking the server throws
 */
export async function followKeyLog(options: FollowKeyLogOptions): Promise<Followed> {
  const { client, book, clock = systemClock } = options;
  const { note } = await client.call(ownKeyLogRoutes.head, {});
  try {
    const head = openHead(book, note);
    const known = book.head();
    const from = known?.tree ?? emptyTree;
    expectNotShorter(book, from, head);
    if (known && head.treeSize === from.size) return { status: 'unchanged' };
    await expectContinued(client, from, head);
    const leaves = await readLeaves(options, from, head);
    const tree = appendLeaves(
      from,
      leaves.map(({ hash }) => hash),
    ).state;
    book.advance({ note, tree, verifiedAtMs: clock.now() }, leaves);
    return { status: 'grown', leaves: leaves.length };
  } catch (error) {
    if (!(error instanceof CodedError) || !isFault(error)) throw error;
    return { status: 'fault', error, isFirst: book.noteFault(error, { atMs: clock.now(), note }) };
  }
}

function isFault({ code }: CodedError): boolean {
  return Object.values(keyLogErrors).some((maker) => maker.code === code);
}

function openHead({ pinned: { origin, verifier } }: KeyLogBook, note: string): Checkpoint {
  try {
    return openCheckpoint(note, origin, [parseVerifierKey(verifier)]);
  } catch (error) {
    throw keyLogErrors.head_unsigned({}, error);
  }
}

/** The leaves that are known decide: a shorter log with other leaves is another log. */
function expectNotShorter(book: KeyLogBook, known: TreeState, { treeSize, root }: Checkpoint): void {
  if (treeSize > known.size) return;
  const facts = { known: known.size, shown: treeSize };
  const ownRoot = treeSize === known.size ? rootOf(known) : rootAt(book.hashes(0, treeSize), treeSize);
  if (!equal(ownRoot, root)) throw keyLogErrors.forked(facts);
  if (treeSize < known.size) throw keyLogErrors.shrunk(facts);
}

async function expectContinued(
  client: FollowKeyLogOptions['client'],
  known: TreeState,
  { treeSize, root }: Checkpoint,
): Promise<void> {
  if (known.size === 0) return;
  const query = { fromSize: String(known.size), toSize: String(treeSize) };
  const { proof } = await client.call(ownKeyLogRoutes.consistency, { query });
  const claim = { fromSize: known.size, fromRoot: rootOf(known), toSize: treeSize, toRoot: root };
  const isContinued = verifyConsistency(
    claim,
    proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64'))),
  );
  if (!isContinued) throw keyLogErrors.forked({ known: known.size, shown: treeSize });
}

/** All leaves between two heads, which have to lead from the one to the other. */
async function readLeaves(
  { client, subjects, signal }: FollowKeyLogOptions,
  known: TreeState,
  { treeSize, root }: Checkpoint,
): Promise<readonly SeenLeaf[]> {
  const shown: ShownLeaf[] = [];
  while (known.size + shown.length < treeSize) {
    signal.throwIfAborted();
    const from = known.size + shown.length;
    const limit = Math.min(KEY_LOG_PAGE, treeSize - from);
    const query = { from: String(from), limit: String(limit) };
    const { leaves } = await client.call(ownKeyLogRoutes.leaves, { query });
    if (leaves.length === 0 || leaves.length > limit) throw keyLogErrors.leaf_altered({ from, leaves: leaves.length });
    shown.push(...leaves);
  }
  const outlines = shown.map(({ outline }) => decode(outline));
  const hashes = outlines.map(outlineHash);
  if (!equal(rootOf(appendLeaves(known, hashes).state), root))
    throw keyLogErrors.leaf_altered({ from: known.size, to: treeSize });
  return shown.map(({ body }, place) =>
    seen(outlines[place]!, { body, hash: hashes[place]!, logIndex: known.size + place }, subjects),
  );
}

function decode(text: string): LeafOutline {
  const outline = new Uint8Array(Buffer.from(text, 'base64url'));
  if (!isOutline(outline)) throw keyLogErrors.leaf_altered({ problem: 'an entry has no form' });
  return outline;
}

/** A leaf as it is kept. One about this computer has to be shown in full; what else is shown is not kept. */
function seen(
  outline: LeafOutline,
  leaf: { readonly body: string | undefined; readonly hash: Hash; readonly logIndex: number },
  subjects: readonly string[],
): SeenLeaf {
  const { body, hash, logIndex } = leaf;
  if (!isAbout(outline, subjects)) return { hash };
  if (body === undefined || !isTextOf(outline, body)) throw keyLogErrors.leaf_hidden({ logIndex });
  return { hash, text: body };
}

function equal(a: Hash, b: Hash): boolean {
  return Buffer.compare(a, b) === 0;
}

/** A leaf as people and programs read it: `leaf` is missing where this version does not know its kind. */
export type ShownOwnLeaf = {
  readonly logIndex: number;
  readonly at?: string;
  readonly kind: string;
  readonly text: string;
};

/** Reads the text of a leaf as far as this version knows it. */
export function describeLeaf({ logIndex, text }: { readonly logIndex: number; readonly text: string }): ShownOwnLeaf {
  try {
    const { at, kind } = parseKeyLogLeaf(text);
    return { logIndex, at, kind, text };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { logIndex, kind: 'unknown', text };
  }
}
