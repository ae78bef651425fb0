import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import { zstdErrors } from './errors.ts';
import { checkZstdFrame } from './zstd-frame.ts';

const maxWindowLog = 22;

/** What a payload must not exceed, relative to its raw bytes, to be worth decompressing: it saves at least 3 %. */
const worthwhile = 0.97;

/**
 * Tables of level 3 above 256 KiB, as powers of two: half of zstd's own, so that more of them stays in a core's cache.
 * A tenth to a quarter of the time less; a frame of text or source is 0.2 to 0.7 % longer.
 */
const bundleTables = { aboveBytes: 256 * 1024, level: 3, hashLog: 16, chainLog: 15 };

/** Name, version and level of the compressor, and its tables where they are ours, as the nonce of a record needs it. */
export function zstdCompressorName(level: number, rawBytes: number): string {
  const { hashLog, chainLog } = bundleTables;
  const tables = hasBundleTables(level, rawBytes) ? ` ${hashLog} ${chainLog}` : '';
  return `zstd ${process.versions.zstd} ${level}${tables}`;
}

/**
 * One zstd frame with its content size and a window of at most 4 MiB.
 *
 * The same bytes, level and library version give the same frame. `level` 1 to 19.
 */
export function compressZstd(raw: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  const frame = zstdCompressSync(raw, {
    // One output buffer that always suffices: otherwise Node joins many.
    chunkSize: Math.max(1024, raw.length + (raw.length >> 8) + 128),
    pledgedSrcSize: raw.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowLog(raw.length),
      [constants.ZSTD_c_contentSizeFlag]: 1,
      ...tablesOf(level, raw.length),
    },
  });
  return new Uint8Array(frame.buffer, frame.byteOffset, frame.length);
}

/** The compressed bytes if they save 3 % or more; undefined when the raw bytes are better stored as they are. */
export function compressIfSmaller(raw: Uint8Array, level: number): Uint8Array<ArrayBuffer> | undefined {
  const frame = compressZstd(raw, level);
  return frame.length <= raw.length * worthwhile ? frame : undefined;
}

/**
 * Opens a frame to exactly `rawBytes` bytes. Nothing larger is ever allocated, whatever the payload says.
 * @throws zstd.bad_frame
 */
export function decompressZstd(payload: Uint8Array, rawBytes: number): Uint8Array<ArrayBuffer> {
  checkZstdFrame(payload, rawBytes);
  const raw = decompressBounded(payload, rawBytes);
  if (raw.length !== rawBytes) throw zstdErrors.bad_frame({ fact: 'it ends early' });
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.length);
}

function decompressBounded(payload: Uint8Array, rawBytes: number) {
  try {
    return zstdDecompressSync(payload, {
      // Node's least is 64; nor may the bound be zero.
      chunkSize: Math.max(64, rawBytes),
      maxOutputLength: Math.max(1, rawBytes),
      params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog },
    });
  } catch (error) {
    throw zstdErrors.bad_frame({ fact: 'it does not decompress' }, error);
  }
}

function hasBundleTables(level: number, rawBytes: number): boolean {
  return level === bundleTables.level && rawBytes > bundleTables.aboveBytes;
}

function tablesOf(level: number, rawBytes: number): Readonly<Record<number, number>> {
  if (!hasBundleTables(level, rawBytes)) return {};
  return { [constants.ZSTD_c_hashLog]: bundleTables.hashLog, [constants.ZSTD_c_chainLog]: bundleTables.chainLog };
}

function windowLog(rawBytes: number): number {
  const needed = rawBytes <= 1 ? 0 : 32 - Math.clz32(rawBytes - 1);
  return Math.min(maxWindowLog, Math.max(10, needed));
}
