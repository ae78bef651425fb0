import { createHash } from 'node:crypto';
import { type ArchiveFolder, parseKeyring, RecordKind, splitRecord } from '@holdfast/archive/log';
import type { OpenArchives } from './open-archives.ts';

/** Ordinals looked up at once. */
const STRETCH = 1_024;

/** The keyring record of an archive with this SHA-256 (hex), or the newest one; undefined where there is none, or it is lost. */
export async function findKeyring(
  archives: OpenArchives,
  { tenantId, archiveId }: { readonly tenantId: string; readonly archiveId: string },
  sha256?: string,
): Promise<Uint8Array | undefined> {
  return archives.use(tenantId, archiveId, ({ folder }) => findKeyringIn(folder, sha256));
}

/** The same of a folder that is open. */
export async function findKeyringIn(folder: ArchiveFolder, sha256?: string): Promise<Uint8Array | undefined> {
  const ordinals = new Set<number>();
  for await (const { ordinal } of folder.list(RecordKind.keyring)) ordinals.add(ordinal);
  let newest: { readonly number: number; readonly record: Uint8Array } | undefined;
  // The newest is among the last.
  const newestFirst = [...ordinals].toSorted((a, b) => b - a);
  for (let at = 0; at < newestFirst.length; at += STRETCH)
    for await (const outcome of folder.read(newestFirst.slice(at, at + STRETCH))) {
      if (outcome.status !== 'found') continue;
      const record = Uint8Array.from(outcome.bytes);
      if (createHash('sha256').update(record).digest('hex') === sha256) return record;
      const { number } = parseKeyring(splitRecord(record).open);
      if (number > (newest?.number ?? 0)) newest = { number, record };
    }
  return sha256 === undefined ? newest?.record : undefined;
}
