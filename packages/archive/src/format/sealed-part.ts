import { corrupt } from '../errors.ts';
import { ByteReader } from './cursor.ts';
import { maxRawBytes } from './extent.ts';

/** Bytes of a sealed part's plaintext before its payload. */
export const plaintextHeadBytes = 41;

/** How the payload holds the raw bytes; by the numbers of the format. */
export const compressions = { none: 0, zstd: 1 } as const;

/** The plaintext of a sealed part, taken apart; byte strings are views. */
export type Plaintext = {
  readonly compression: 'none' | 'zstd';
  readonly rawBytes: number;
  /** SHA-256 of the raw bytes. */
  readonly sha256: Uint8Array;
  readonly payload: Uint8Array;
};

/** Takes a plaintext apart and checks all its lengths. @throws archive.corrupt */
export function parsePlaintext(plaintext: Uint8Array): Plaintext {
  const reader = new ByteReader(plaintext, 'sealed part');
  const compression = reader.u8();
  const rawBytes = reader.u32();
  const payloadBytes = reader.u32();
  const sha256 = reader.take(32);
  if (compression > compressions.zstd) throw corrupt(`sealed part: compression ${compression} does not exist`);
  if (rawBytes > maxRawBytes) throw corrupt('sealed part: its raw bytes are more than 4 MiB');
  const isPlain = compression === compressions.none;
  if (payloadBytes > rawBytes || (isPlain && payloadBytes !== rawBytes)) {
    throw corrupt('sealed part: its payload is longer than its raw bytes, or shorter and not compressed');
  }
  return { compression: isPlain ? 'none' : 'zstd', rawBytes, sha256, payload: reader.take(payloadBytes) };
}

/** Bytes 0 to 40 of a plaintext. */
export function encodePlaintextHead(
  head: Pick<Plaintext, 'compression' | 'rawBytes' | 'sha256'> & { readonly payloadBytes: number },
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(plaintextHeadBytes);
  const view = new DataView(bytes.buffer);
  bytes[0] = compressions[head.compression];
  view.setUint32(1, head.rawBytes, true);
  view.setUint32(5, head.payloadBytes, true);
  bytes.set(head.sha256, 9);
  return bytes;
}
