/**
 * Opening a keyring where its keys must not stay: in a process that opens those of many archives.
 *
 * What was opened is overwritten. What is not: the window of zstd, where the ring was compressed, which is freed as it is. So
 * keyrings are made without compression; older ones may have it.
 */
import { createCipheriv, createHmac, hash } from 'node:crypto';
import { decompressZstd } from '../compress/zstd.node.ts';
import { XaesKey } from '../crypto/xaes.node.ts';
import { tagBytes } from '../crypto/xaes.ts';
import { archiveErrors, corrupt } from '../errors.ts';
import { equalBytes } from '../format/cursor.ts';
import { type Keyring, parseKeyring, parseRing, type Ring } from '../format/keyring.ts';
import { keyLabels } from '../format/keys.ts';
import { associatedData, isKnownRecord, RecordKind, splitRecord } from '../format/record.ts';
import { parsePlaintext } from '../format/sealed-part.ts';

/** A keyring and its ring, whose keys are views of `raw`. */
export type OpenedKeyring = {
  readonly keyring: Keyring;
  readonly ring: Ring;
  /** The raw bytes of the ring (format document, section 5). */
  readonly raw: Uint8Array;
  /** The epoch in the record's header, which is that of the newest one in the ring. */
  readonly sealedUnder: number;
};

/**
 * Opens a keyring record by its ring key for as long as `work` takes, and then overwrites the ring.
 *
 * The ring key is the caller's to overwrite. Whoever holds the ring sealed it together with the open part, so the two belong together.
 * @throws archive.not_authentic, archive.corrupt, archive.unknown_field
 */
export function withOpenedKeyring<T>(
  record: Uint8Array,
  { archiveId, ringKey }: { readonly archiveId: Uint8Array; readonly ringKey: Uint8Array },
  work: (opened: OpenedKeyring) => T,
): T {
  const { header, headerBytes, nonce, open, sealed } = splitRecord(record);
  if (!isKnownRecord(header) || header.kind !== RecordKind.keyring) throw corrupt('record: it is no keyring');
  const plaintext = openSealed(ringKey, [nonce, sealed, associatedData(archiveId, headerBytes, open)]);
  try {
    return withRaw(plaintext, (raw) =>
      work({ keyring: parseKeyring(open), ring: parseRing(raw), raw, sealedUnder: header.epoch }),
    );
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Derives the keys that read an epoch from its 32 random bytes: of data and of metadata, 32 bytes each, the caller's to overwrite.
 *
 * HKDF-SHA-256 (RFC 5869) by its two HMACs, since Node's own keeps a copy of the secret until the collector comes.
 */
export function deriveReadKeys(
  archiveId: Uint8Array,
  epochKey: Uint8Array,
): { readonly data: Uint8Array; readonly metadata: Uint8Array } {
  const pseudorandom = createHmac('sha256', archiveId).update(epochKey).digest();
  const derive = (label: string) => createHmac('sha256', pseudorandom).update(label).update(Uint8Array.of(1)).digest();
  try {
    return { data: derive(keyLabels.data), metadata: derive(keyLabels.metadata) };
  } finally {
    pseudorandom.fill(0);
  }
}

type Sealed = readonly [nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array];

function openSealed(ringKey: Uint8Array, [nonce, sealed, associated]: Sealed): Uint8Array {
  const key = new XaesKey(ringKey);
  try {
    return key.open(nonce, sealed, associated);
  } catch (error) {
    throw archiveErrors.not_authentic({ kind: RecordKind.keyring }, error);
  } finally {
    key.close();
    overwriteFreed(sealed.length);
  }
}

/**
 * Overwrites what Node has left of a text that it decrypted: it decrypts into a longer piece of memory, copies from there and
 * frees it as it is. The next piece of that length is the same one.
 */
function overwriteFreed(sealedBytes: number): void {
  const zeros = new Uint8Array(sealedBytes - tagBytes);
  for (let turn = 0; turn < 2; turn += 1)
    createCipheriv('aes-256-gcm', new Uint8Array(32), new Uint8Array(12)).update(zeros);
}

function withRaw<T>(plaintext: Uint8Array, work: (raw: Uint8Array) => T): T {
  const { compression, rawBytes, sha256, payload } = parsePlaintext(plaintext);
  const raw = compression === 'none' ? payload : decompress(payload, rawBytes);
  try {
    if (equalBytes(hash('sha256', raw, 'buffer'), sha256)) return work(raw);
    throw corrupt('sealed part: the SHA-256 of its raw bytes does not hold');
  } finally {
    raw.fill(0);
  }
}

function decompress(payload: Uint8Array, rawBytes: number): Uint8Array {
  try {
    return decompressZstd(payload, rawBytes);
  } catch (error) {
    throw corrupt('sealed part: its payload does not decompress', undefined, error);
  }
}
