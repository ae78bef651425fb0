import type { Reference } from '../format/extent.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { childEntry, childOf, encodeTreeNode, type MapEntry, parseTreeNode } from '../format/tree-node.ts';
import { checkChild } from './tree-reader.ts';
import type { TreeStore } from './update-tree.ts';

/**
 * Stores the nodes of a tree again whose records are old, and those above them; gives the root of a tree with the same
 * entries. Where nothing is old, it is the root that there was. Memory does not depend on the tree's size.
 *
 * @throws archive.corrupt when the tree is
 */
export async function resealTree(
  root: Reference,
  store: TreeStore & { readonly isOld: (ordinal: Ordinal) => boolean },
): Promise<Reference> {
  const raw = await store.load(root);
  const node = parseTreeNode(raw);
  const entries: MapEntry[] = [];
  let isChanged = store.isOld(root.ordinal);
  for (const [place, entry] of node.level === 0 ? [] : node.entries.entries()) {
    const child = childOf(entry);
    checkChild(parseTreeNode(await store.load(child)), node, place);
    const next = await resealTree(child, store);
    isChanged ||= next !== child;
    entries.push(next === child ? entry : childEntry(entry.key, next));
  }
  if (!isChanged) return root;
  store.remove?.(root);
  const bytes = node.level === 0 ? new Uint8Array(raw) : encodeTreeNode({ level: node.level, entries });
  return store.store(bytes, node.level);
}
