import { createHash } from 'node:crypto';

import { systemClock } from '@holdfast/base';

import { decompressZstd } from '../compress/zstd.node.ts';
import { isSignedBy } from '../crypto/ed25519.node.ts';
import { joinBytes } from '../format/cursor.ts';
import { ArchiveFolder } from '../log/archive-folder.ts';
import { nodeDisk } from '../log/node-disk.ts';
import type { ReadTools, RecordSource } from '../tree/record-source.ts';

/** What reading needs, from Node; XAES is that of WebCrypto, as in a browser. */
export const fixedTools: ReadTools = {
  decompress: decompressZstd,
  createSha256: () => createHash('sha256'),
  verify: isSignedBy,
};

/** The records of an archive's folder on disk, opened for reading only. */
export async function folderSource(
  dir: string,
  archiveIdHex: string,
): Promise<RecordSource & { close(): Promise<void> }> {
  const archiveId = Uint8Array.fromHex(archiveIdHex);
  const options = {
    dir,
    archiveId,
    disk: nodeDisk,
    clock: systemClock,
    mode: 'read',
    parity: true,
    copies: true,
  } as const;
  const folder = await ArchiveFolder.open(options);
  return {
    async *ordinalsOf(kind) {
      for await (const { ordinal } of folder.list(kind)) yield ordinal;
    },
    async read(ordinal) {
      const outcome = await folder.readOne(ordinal);
      return outcome.status === 'found' ? joinBytes(outcome.bytes) : undefined;
    },
    close: () => folder.close(),
  };
}
