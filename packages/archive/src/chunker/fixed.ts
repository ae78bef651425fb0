import { Chunker } from './chunker.ts';

/** Length of every piece of chunker 2 but a file's last. */
export const fixedPieceBytes = 64 * 1024;

const arenaBytes = 2 * 1024 * 1024;

/** Chunker 2: a cut every 64 KiB, for disk images and databases, whose pages are changed in place. */
export function createFixedChunker(): Chunker {
  return new Chunker({
    arena: new Uint8Array(arenaBytes),
    maxBytes: fixedPieceBytes,
    restart: () => {},
    cut: (_start, availableBytes, hardBytes) => (availableBytes === hardBytes ? hardBytes : 0),
  });
}
