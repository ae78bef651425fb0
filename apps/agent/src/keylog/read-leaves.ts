import { setImmediate } from 'node:timers/promises';
import { CodedError } from '@holdfast/base';
import { KEY_LOG_PAGE, ownKeyLogRoutes } from '@holdfast/contract';
import {
  appendLeaves,
  isAbout,
  isOutline,
  isTextOf,
  outlineHash,
  parseCanonicalJson,
  parseKeyLogLeaf,
  rootOf,
  type Checkpoint,
  type KeyLogLeaf,
  type LeafOutline,
  type TreeState,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keyLogErrors } from './errors.ts';
import type { OwnLeaf, SeenLeaves } from './key-log-book.ts';

/** What reading leaves needs. */
export type ReadLeavesOptions = {
  readonly client: Pick<CloudClient, 'call'>;
  /** Whom leaves are about that this computer has to see. */
  readonly subjects: readonly string[];
  /** The archive of this computer, which the server may not know for its own yet. */
  readonly archiveId: string;
  /** UTF-16 code units of all texts about this computer in one reading; more are never believed. */
  readonly mostText?: number;
  /** Told the leaves of each page as they come. */
  readonly onPage: (page: Pick<SeenLeaves, 'first' | 'hashes'>) => void;
  readonly signal: AbortSignal;
};

/** Leaves that were read, the tree that they lead to, and the newest day of a leaf over all heads. */
export type ReadLeaves = {
  readonly pages: readonly SeenLeaves[];
  readonly tree: TreeState;
  readonly day: string | undefined;
};

type ShownLeaf = { readonly outline: string; readonly body?: string | undefined };

const MOST_TEXT = 64 * 1024 * 1024;

/**
 * Reads all leaves between two heads, which have to lead from the one to the other, with each about this computer in full.
 *
 * Of a page nothing stays but hashes and those texts. @throws key_log.leaf_altered, key_log.leaf_hidden, key_log.too_long
 */
export async function readLeaves(options: ReadLeavesOptions, known: TreeState, head: Checkpoint): Promise<ReadLeaves> {
  const { client, subjects, archiveId, signal, onPage, mostText = MOST_TEXT } = options;
  const pages: SeenLeaves[] = [];
  let tree = known;
  let text = 0;
  let hidden: CodedError | undefined;
  while (tree.size < head.treeSize) {
    signal.throwIfAborted();
    const first = tree.size;
    const limit = Math.min(KEY_LOG_PAGE, head.treeSize - first);
    const query = { from: String(first), limit: String(limit), archiveId };
    const { leaves } = await client.call(ownKeyLogRoutes.leaves, { query, signal });
    if (leaves.length === 0 || leaves.length > limit) throw keyLogErrors.leaf_altered({ first, leaves: leaves.length });
    const outlines = leaves.map(({ outline }) => decode(outline));
    const each = outlines.map(outlineHash);
    const hashes = Buffer.concat(each);
    onPage({ first, hashes });
    tree = appendLeaves(tree, each).state;
    const own = ownOf(leaves, { outlines, first, subjects });
    hidden ??= own.hidden;
    text += own.leaves.reduce((sum, leaf) => sum + leaf.text.length, 0);
    if (text > mostText) throw keyLogErrors.too_long({ from: known.size, to: tree.size, mostText });
    pages.push({ first, hashes, own: own.leaves });
    await setImmediate();
  }
  if (Buffer.compare(rootOf(tree), head.root) !== 0)
    throw keyLogErrors.leaf_altered({ from: known.size, to: head.treeSize });
  if (hidden) throw hidden;
  return { pages, tree, day: newestDay(pages) };
}

function decode(text: string): LeafOutline {
  const outline = new Uint8Array(Buffer.from(text, 'base64url'));
  if (!isOutline(outline)) throw keyLogErrors.leaf_altered({ problem: 'an entry has no form' });
  return outline;
}

/** The leaves of a page that are about this computer; what else is shown is not kept. */
function ownOf(
  shown: readonly ShownLeaf[],
  page: { readonly outlines: readonly LeafOutline[]; readonly first: number; readonly subjects: readonly string[] },
): { readonly leaves: readonly OwnLeaf[]; readonly hidden: CodedError | undefined } {
  const leaves: OwnLeaf[] = [];
  let hidden: CodedError | undefined;
  for (const [place, outline] of page.outlines.entries()) {
    if (!isAbout(outline, page.subjects)) continue;
    const logIndex = page.first + place;
    const text = shown[place]?.body;
    if (text === undefined || !isTextOf(outline, text)) hidden ??= keyLogErrors.leaf_hidden({ logIndex });
    else leaves.push({ logIndex, text: expectCanonical(text, logIndex) });
  }
  return { leaves, hidden };
}

/** Whoever shows a text shows it to people, too: nothing else than canonical JSON is a leaf. */
function expectCanonical(text: string, logIndex: number): string {
  try {
    parseCanonicalJson(text);
    return text;
  } catch (error) {
    throw keyLogErrors.leaf_altered({ logIndex, problem: 'its text is not canonical JSON' }, error);
  }
}

function newestDay(pages: readonly SeenLeaves[]): string | undefined {
  const days = pages.flatMap(({ own }) => own.map(({ text }) => dayOf(text))).filter((day) => day !== undefined);
  return days.toSorted().at(-1);
}

function dayOf(text: string): string | undefined {
  const leaf = leafOf(text);
  return leaf?.kind === 'daily_heads' ? leaf.day : undefined;
}

/** The leaf that a text is; undefined where this version does not know its kind. */
export function leafOf(text: string): KeyLogLeaf | undefined {
  try {
    return parseKeyLogLeaf(text);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
