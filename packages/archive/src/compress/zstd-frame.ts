import { zstdErrors } from './errors.ts';

/** The most a frame may open to, and the largest window it may ask a reader for: 4 MiB each. */
export const maxRawBytes = 4 * 1024 * 1024;
const maxWindowBytes = 4 * 1024 * 1024;

/** Opens a zstd frame to exactly `rawBytes` bytes; injected, since browsers bring their own. */
export type Decompress = (
  payload: Uint8Array<ArrayBuffer>,
  rawBytes: number,
) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;

/** What a frame's header says, before anything is decompressed. */
export type ZstdFrame = {
  /** Bytes it decompresses to; at most 2^53. */
  readonly contentBytes: number;
  /** Memory a reader needs to look back. */
  readonly windowBytes: number;
};

/**
 * Reads the header of a payload that is one whole zstd frame (RFC 8878, section 3.1.1), and walks its blocks.
 *
 * Decompressors pass over what follows a frame, so only this notices bytes appended to one.
 * @throws zstd.bad_frame unless it is exactly one frame, with its content size, without a dictionary.
 */
export function readZstdFrame(payload: Uint8Array): ZstdFrame {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) throw bad('no zstd frame begins here');
  const descriptor = payload[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if (descriptor & 0x0b) throw bad('it needs a dictionary, or a reserved bit is set');
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const sizeAt = isSingleSegment ? 5 : 6;
  if (sizeBytes === 0) throw bad('it does not say its content size');
  if (payload.length < sizeAt + sizeBytes) throw bad('it is cut off');
  const contentBytes = readSize(view, sizeAt, sizeBytes);
  const windowBytes = isSingleSegment ? contentBytes : readWindow(payload[5]!);
  const end = walkBlocks(payload, sizeAt + sizeBytes) + (descriptor & 0x04 ? 4 : 0);
  if (end !== payload.length) throw bad('it does not end where the payload does');
  return { contentBytes, windowBytes };
}

/** Checks that a payload is one frame of `rawBytes` bytes, neither they nor its window above 4 MiB. @throws zstd.bad_frame */
export function checkZstdFrame(payload: Uint8Array, rawBytes: number): void {
  const frame = readZstdFrame(payload);
  if (rawBytes > maxRawBytes) throw bad('it opens to more than 4 MiB');
  if (frame.contentBytes !== rawBytes) throw bad('its content size is not the raw length');
  if (frame.windowBytes > maxWindowBytes) throw bad('its window is too large');
}

function readSize(view: DataView, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}

function readWindow(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function walkBlocks(payload: Uint8Array, firstAt: number): number {
  let at = firstAt;
  for (;;) {
    if (at + 3 > payload.length) throw bad('it is cut off');
    const header = payload[at]! | (payload[at + 1]! << 8) | (payload[at + 2]! << 16);
    const kind = (header >> 1) & 3;
    if (kind === 3) throw bad('a block is of a reserved kind');
    at += 3 + (kind === 1 ? 1 : header >> 3);
    if (header & 1) return at;
  }
}

function bad(fact: string) {
  return zstdErrors.bad_frame({ fact });
}
