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
  type Hash,
  type KeyLogLeaf,
  type LeafOutline,
  type TreeState,
} from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { keyLogErrors } from './errors.ts';
import type { OwnLeaf, SeenLeaves, ShownHead } from './key-log-book.ts';

/** What reading leaves needs. */
export type ReadLeavesOptions = {
  readonly client: Pick<CloudClient, 'call'>;
  /** Whom leaves are about that this computer has to see. */
  readonly subjects: readonly string[];
  /** The archive of this computer, where it has one: the server may not know it for its own yet. */
  readonly archiveId?: string;
  /** UTF-16 code units of all texts about this computer, over all readings; more are never kept. */
  readonly mostText?: number;
  /** Told the leaves of each page as they come. */
  readonly onPage: (page: { readonly first: number; readonly hashes: Uint8Array }) => void;
  readonly signal: AbortSignal;
};

/** Where reading goes from and to. */
export type Stretch = {
  readonly from: TreeState;
  readonly to: Checkpoint;
  /** So many leaves are known: of them only texts are kept. */
  readonly known: number;
  /** UTF-16 code units of the texts that are kept already. */
  readonly keptText: number;
  /** Heads that were shown before without their leaves, the shortest first. */
  readonly shown: readonly ShownHead[];
};

/** Leaves that were read, and the tree that they lead to. */
export type ReadLeaves = {
  readonly pages: readonly SeenLeaves[];
  readonly tree: TreeState;
  /** The first of the heads shown before that is signed for other leaves. */
  readonly parted: ShownHead | undefined;
  /** The first leaf about this computer that is none, or that is not shown; the head stands for it nevertheless. */
  readonly fault: CodedError | undefined;
};

type ShownLeaf = { readonly outline: string; readonly body?: string | undefined };

const MOST_TEXT = 64 * 1024 * 1024;

/**
 * Reads all leaves between two heads, which have to lead from the one to the other, with each about this computer in full.
 *
 * Of a page nothing stays but hashes and those texts. @throws key_log.leaf_altered, key_log.too_long
 */
export async function readLeaves(options: ReadLeavesOptions, stretch: Stretch): Promise<ReadLeaves> {
  const { signal, mostText = MOST_TEXT } = options;
  const { from, to, known, keptText, shown } = stretch;
  const pages: SeenLeaves[] = [];
  let tree = from;
  let text = keptText;
  let [parted, fault]: [ShownHead?, CodedError?] = [];
  while (tree.size < to.treeSize) {
    signal.throwIfAborted();
    // A page ends where what is known does.
    const end = tree.size < known ? known : to.treeSize;
    const page = await askPage(options, tree.size, Math.min(KEY_LOG_PAGE, end - tree.size));
    text += page.own.reduce((sum, leaf) => sum + leaf.text.length, 0);
    if (text > mostText) throw keyLogErrors.too_long({ from: from.size, to: tree.size + page.hashes.length, mostText });
    const hashes = tree.size < known ? new Uint8Array() : Buffer.concat(page.hashes);
    pages.push({ before: tree, hashes, own: page.own });
    const walked = walk(tree, page.hashes, shown);
    tree = walked.tree;
    parted ??= walked.parted;
    fault ??= page.fault;
    await setImmediate();
  }
  if (Buffer.compare(rootOf(tree), to.root) !== 0)
    throw keyLogErrors.leaf_altered({ from: from.size, to: to.treeSize });
  return { pages, tree, parted, fault };
}

async function askPage(
  { client, subjects, archiveId, onPage, signal }: ReadLeavesOptions,
  first: number,
  limit: number,
) {
  const query = { from: String(first), limit: String(limit), ...(archiveId !== undefined && { archiveId }) };
  const { leaves } = await client.call(ownKeyLogRoutes.leaves, { query, signal });
  if (leaves.length === 0 || leaves.length > limit) throw keyLogErrors.leaf_altered({ first, leaves: leaves.length });
  const outlines = leaves.map(({ outline }) => decode(outline));
  const hashes = outlines.map(outlineHash);
  onPage({ first, hashes: Buffer.concat(hashes) });
  return { hashes, ...ownOf(leaves, { outlines, first, subjects }) };
}

/** Goes on over leaves, and compares the heads that it passes. */
function walk(
  from: TreeState,
  leaves: readonly Hash[],
  heads: readonly ShownHead[],
): { readonly tree: TreeState; readonly parted: ShownHead | undefined } {
  let tree = from;
  let parted: ShownHead | undefined;
  const upTo = (size: number) => appendLeaves(tree, leaves.slice(tree.size - from.size, size - from.size)).state;
  const end = from.size + leaves.length;
  for (const head of heads.filter(({ treeSize }) => treeSize > from.size && treeSize <= end)) {
    tree = upTo(head.treeSize);
    if (Buffer.compare(rootOf(tree), head.root) !== 0) parted ??= head;
  }
  return { tree: upTo(end), parted };
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
): { readonly own: readonly OwnLeaf[]; readonly fault: CodedError | undefined } {
  const own: OwnLeaf[] = [];
  let fault: CodedError | undefined;
  for (const [place, outline] of page.outlines.entries()) {
    if (!isAbout(outline, page.subjects)) continue;
    const logIndex = page.first + place;
    const text = shown[place]?.body;
    if (text === undefined || !isTextOf(outline, text)) fault ??= keyLogErrors.leaf_hidden({ logIndex });
    else if (isCanonical(text)) own.push({ logIndex, text });
    else fault ??= keyLogErrors.leaf_altered({ logIndex, problem: 'its text is not canonical JSON' });
  }
  return { own, fault };
}

/** Whoever shows a text shows it to people, too: nothing else than canonical JSON is a leaf. */
function isCanonical(text: string): boolean {
  try {
    parseCanonicalJson(text);
    return true;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
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
