import type { XaesOpener } from '../crypto/xaes.ts';
import { checkZstdFrame, type Decompress } from '../compress/zstd-frame.ts';
import { archiveErrors, corrupt } from '../errors.ts';
import { equalBytes } from './cursor.ts';
import {
  associatedData,
  isKnownRecord,
  type RecordParts,
  signedMessage,
  splitRecord,
  verifyRecordCrc,
} from './record.ts';
import { parsePlaintext } from './sealed-part.ts';

/** What opens records where there is WebCrypto: the key for a kind at an epoch, if it is at hand. */
export type RecordOpeners = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  openerOf(kind: number, epoch: number): XaesOpener | undefined;
};

/** What a browser brings along. */
export type OpenTools = {
  /** zstd; never asked for more than 4 MiB. */
  readonly decompress: Decompress;
};

/** A record, opened and checked. `open` and `signature` are views. */
export type OpenedRecord = Pick<RecordParts, 'header' | 'open' | 'signature'> & {
  readonly raw: Uint8Array<ArrayBuffer>;
  readonly sha256: Uint8Array;
};

/**
 * Opens a record and checks lengths, tag and SHA-256, by WebCrypto alone. Its CRC and its signature are not asked.
 *
 * @throws archive.key_missing, archive.not_authentic, archive.corrupt
 */
export async function openRecord(
  bytes: Uint8Array<ArrayBuffer>,
  keys: RecordOpeners,
  tools: OpenTools,
): Promise<OpenedRecord> {
  const { header, headerBytes, nonce, open, sealed, signature } = splitRecord(bytes);
  const facts = { ordinal: header.ordinal, kind: header.kind, epoch: header.epoch };
  if (!isKnownRecord(header)) throw corrupt(`record: kind ${header.kind} of version ${header.version} is not known`);
  const opener = keys.openerOf(header.kind, header.epoch);
  if (opener === undefined) throw archiveErrors.key_missing(facts);
  let plaintext: Uint8Array<ArrayBuffer>;
  try {
    plaintext = await opener.open(owned(nonce), owned(sealed), associatedData(keys.archiveId, headerBytes, open));
  } catch (error) {
    throw archiveErrors.not_authentic(facts, error);
  }
  const { compression, rawBytes, sha256, payload } = parsePlaintext(plaintext);
  const raw = compression === 'none' ? owned(payload) : await decompress(owned(payload), rawBytes, tools);
  if (raw.length !== rawBytes || !equalBytes(await sha256Of(raw), sha256)) {
    throw corrupt('sealed part: the SHA-256 of its raw bytes does not hold');
  }
  return { header, open, signature, raw, sha256 };
}

/** Whether a whole record of a signed kind, its CRC included, verifies; `verify` is Ed25519 under the writer's key. */
export async function isRecordSigned(
  bytes: Uint8Array,
  archiveId: Uint8Array,
  verify: (message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>) => Promise<boolean>,
): Promise<boolean> {
  const parts = splitRecord(bytes);
  return verifyRecordCrc(bytes, 0, parts.header) && verify(signedMessage(archiveId, parts), owned(parts.signature));
}

/** SHA-256 by WebCrypto, of bytes that are all there. */
export async function sha256Of(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', owned(bytes)));
}

async function decompress(
  payload: Uint8Array<ArrayBuffer>,
  rawBytes: number,
  tools: OpenTools,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    checkZstdFrame(payload, rawBytes);
    return await tools.decompress(payload, rawBytes);
  } catch (error) {
    throw corrupt('sealed part: its payload does not decompress', undefined, error);
  }
}

/** WebCrypto takes no shared memory. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    : new Uint8Array(bytes);
}
