/** Folding what commits put into the tree: a new root, and a commit that names it. */
import { hash } from 'node:crypto';
import type { Ordinal } from '../format/ordinal.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { updateTree } from '../tree/update-tree.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordSealer } from './record-sealer.ts';

/** A checkpoint is due when the commits since the last one have gathered this many bytes. */
export const checkpointBytes = 2 * 1024 * 1024;

const dayMs = 24 * 3600 * 1000;

/** Whether a checkpoint is due, by bytes or by a day since the last one, or since an archive without one was first asked about. */
export function isCheckpointDue(index: LocalIndex, nowMs: number): boolean {
  const { number, checkpoint } = index.head();
  if (number === checkpoint) return false;
  const lastAtMs = index.getNumber('checkpoint.at');
  if (lastAtMs === undefined) index.set('checkpoint.at', nowMs);
  return index.putsBytes() >= checkpointBytes || nowMs - (lastAtMs ?? nowMs) >= dayMs;
}

/** Writes a checkpoint of all that commits put so far. No commit may be under way. */
export async function writeCheckpoint(
  index: LocalIndex,
  ports: {
    readonly sealer: RecordSealer;
    /** Waits until more may be handed over. */
    readonly room: () => Promise<void>;
    /** Hands over what was sealed. */
    readonly flush: () => void;
    readonly commits: CommitWriter;
    /** Reads a node that the index does not keep. */
    readonly load: LoadRecord;
    readonly nowMs: number;
  },
): Promise<void> {
  const { root } = index.head();
  const dropped: Ordinal[] = [];
  const stored = new Map<Ordinal, Uint8Array>();
  const next = await updateTree(root, index.puts(), {
    load: async (reference) =>
      stored.get(reference.ordinal) ?? index.node(reference.ordinal) ?? (await ports.load(reference)),
    store: async (raw) => {
      await ports.room();
      const ordinal = ports.sealer.reserve();
      const sha256 = hash('sha256', raw, 'buffer');
      ports.sealer.put({ kind: 'tree', ordinal, raw, sha256 });
      stored.set(ordinal, raw);
      return { ordinal, sha256 };
    },
    remove: ({ ordinal }) => dropped.push(ordinal),
  });
  ports.flush();
  index.putNodes(stored);
  await ports.commits.writeCheckpoint(next, dropped);
  index.set('checkpoint.at', ports.nowMs);
}
