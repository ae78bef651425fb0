import { createHash } from 'node:crypto';
import { RecordKind } from '@holdfast/archive/log';
import type { OpenArchives } from './open-archives.ts';

/** Ordinals looked up at once. */
const STRETCH = 256;

/** The keyring record of an archive with this SHA-256 (hex); undefined where there is none, or it is lost. */
export async function findKeyring(
  archives: OpenArchives,
  { tenantId, archiveId }: { readonly tenantId: string; readonly archiveId: string },
  sha256: string,
): Promise<Uint8Array | undefined> {
  return archives.use(tenantId, archiveId, async ({ folder }) => {
    const ordinals = new Set<number>();
    for await (const { ordinal } of folder.list(RecordKind.keyring)) ordinals.add(ordinal);
    // The newest is among the last.
    const newestFirst = [...ordinals].toSorted((a, b) => b - a);
    for (let at = 0; at < newestFirst.length; at += STRETCH)
      for await (const outcome of folder.read(newestFirst.slice(at, at + STRETCH)))
        if (outcome.status === 'found' && createHash('sha256').update(outcome.bytes).digest('hex') === sha256)
          return Uint8Array.from(outcome.bytes);
    return undefined;
  });
}
