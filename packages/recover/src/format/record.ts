import { crc32 } from 'node:zlib';
import type { Ordinal } from './bytes.ts';
import { verifierOf, type Verifier } from './sealing.ts';

/** Kinds of records (§2). */
export const kinds = { header: 1, keyring: 2, block: 3, bundle: 4, list: 5, tree: 6, commit: 7, live: 8 } as const;

/** "HFR1", the first bytes of a record. */
export const RECORD_MAGIC = Buffer.from('HFR1', 'ascii');

/** Bytes before the open part. */
export const RECORD_HEAD_BYTES = 52;

const OPEN_LIMIT_BYTES = 4_259_840;
const SEALED_LIMIT_BYTES = 4_325_392;

/** Longest record there can be. */
export const RECORD_LIMIT_BYTES = RECORD_HEAD_BYTES + OPEN_LIMIT_BYTES + SEALED_LIMIT_BYTES + 64;

/** A record's frame, its parts being views of the bytes it was read from. */
export type RecordFrame = {
  readonly version: number;
  readonly kind: number;
  readonly epoch: number;
  readonly ordinal: Ordinal;
  readonly crc: number;
  /** The whole record, from magic to signature. */
  readonly whole: Buffer;
  readonly open: Buffer;
  readonly sealed: Buffer;
  readonly signature: Buffer;
};

/** Length of the record that seems to begin here; undefined when the first bytes are no record's. */
export function frameLength(bytes: Buffer, at: number): number | undefined {
  if (at + RECORD_HEAD_BYTES > bytes.length || !startsWithMagic(bytes, at)) return undefined;
  const signatureLength = bytes.readUInt16LE(at + 14);
  const openLength = bytes.readUInt32LE(at + 16);
  const sealedLength = bytes.readUInt32LE(at + 20);
  if (openLength > OPEN_LIMIT_BYTES || sealedLength > SEALED_LIMIT_BYTES) return undefined;
  if (signatureLength !== 0 && signatureLength !== 64) return undefined;
  return RECORD_HEAD_BYTES + openLength + sealedLength + signatureLength;
}

function startsWithMagic(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32BE(at) === 0x48465231;
}

/** Reads the frame at an offset; undefined when its magic, lengths or CRC-32 do not hold or it is cut short. */
export function readFrame(bytes: Buffer, at: number): RecordFrame | undefined {
  const length = frameLength(bytes, at);
  if (length === undefined || at + length > bytes.length) return undefined;
  const whole = bytes.subarray(at, at + length);
  const crc = whole.readUInt32LE(48);
  if (crc32(whole.subarray(RECORD_HEAD_BYTES), crc32(whole.subarray(0, 48))) !== crc) return undefined;
  const openEnd = RECORD_HEAD_BYTES + whole.readUInt32LE(16);
  const sealedEnd = openEnd + whole.readUInt32LE(20);
  return {
    version: whole.readUInt8(4),
    kind: whole.readUInt8(5),
    epoch: whole.readUInt16LE(6),
    ordinal: whole.readUIntLE(8, 6),
    crc,
    whole,
    open: whole.subarray(RECORD_HEAD_BYTES, openEnd),
    sealed: whole.subarray(openEnd, sealedEnd),
    signature: whole.subarray(sealedEnd),
  };
}

/** Whether a record is of a kind and version of this format, with the signature its kind has. */
export function isKnownShape(frame: RecordFrame): boolean {
  if (frame.version !== 1 || frame.kind < 1 || frame.kind > 8) return false;
  const signed = frame.kind === kinds.header || frame.kind === kinds.keyring || frame.kind >= kinds.commit;
  return frame.signature.length === (signed ? 64 : 0);
}

/** What a sealed part is bound to: archive id, the first 48 bytes of the record, the open part. */
export function associatedData(archiveId: Buffer, frame: RecordFrame): Buffer {
  return Buffer.concat([archiveId, frame.whole.subarray(0, 48), frame.open]);
}

/** Nonce of the sealed part. */
export const nonceOf = (frame: RecordFrame): Buffer => frame.whole.subarray(24, 48);

/** Whether the record's signature holds for a public key. */
export function recordSignatureHolds(archiveId: Buffer, frame: RecordFrame, publicKey: Buffer): boolean {
  return recordIsVerified(archiveId, frame, verifierOf(publicKey));
}

/** Whether the record's signature holds by a verifier: for many records of one writer. */
export function recordIsVerified(archiveId: Buffer, frame: RecordFrame, verifier: Verifier): boolean {
  const parts = [
    Buffer.from('holdfast v1 record\0', 'ascii'),
    archiveId,
    frame.whole.subarray(0, 48),
    frame.open,
    frame.sealed,
  ];
  return verifier(parts, frame.signature);
}
