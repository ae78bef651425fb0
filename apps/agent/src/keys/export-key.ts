import type { ArchiveKeys } from '@holdfast/archive';
import { formatKeyFile } from '@holdfast/trust';

/** The text of the key file of `key export`: whoever holds it reads the archive up to the newest epoch. */
export function exportKey({ archiveId, ring }: ArchiveKeys): string {
  return formatKeyFile({
    archiveId,
    epochs: ring.epochs.map(({ number, suite, key }) => ({ epoch: number, suite, key })),
  });
}
