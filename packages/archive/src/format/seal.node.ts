import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { assert, type Random } from '@holdfast/base';

import { padmeBytes } from '../compress/padme.ts';
import { probe } from '../compress/probe.ts';
import { compressIfSmaller, decompressZstd, zstdCompressorName } from '../compress/zstd.node.ts';
import { isSignedBy } from '../crypto/ed25519.node.ts';
import { hedgeNonce } from '../crypto/nonce.node.ts';
import { release } from '../crypto/release.ts';
import { XaesKey } from '../crypto/xaes.node.ts';
import { tagBytes } from '../crypto/xaes.ts';
import { archiveErrors, corrupt } from '../errors.ts';
import { equalBytes } from './cursor.ts';
import { maxRawBytes } from './extent.ts';
import { type KeyRing, keyUseOf } from './keys.ts';
import { type Ordinal, writerOf } from './ordinal.ts';
import {
  associatedData,
  isKnownRecord,
  isSealedKind,
  isSignedKind,
  maxOpenBytes,
  parseRecordHeader,
  putCrc,
  RecordKind,
  type RecordKindName,
  type RecordParts,
  recordCrcOf,
  type RecordHeader,
  recordHeaderBytes,
  recordLengthOf,
  signatureBytes,
  signedMessage,
  splitRecord,
  verifyRecordCrc,
  writeHeaderStart,
} from './record.ts';
import { encodePlaintextHead, parsePlaintext, plaintextHeadBytes } from './sealed-part.ts';

/** Whether to compress: `probe` asks a few samples first, `zstd` always tries; both keep the result only if it saves 3 %. */
export type CompressionPolicy = 'none' | 'probe' | 'zstd';

/** What is to become a record. */
export type SealContent = {
  readonly kind: RecordKindName;
  /** Key epoch; 0 for kinds that seal nothing. */
  readonly epoch: number;
  readonly ordinal: Ordinal;
  /** The open part; empty when left out. */
  readonly open?: Uint8Array;
  /** The raw bytes to seal; left out for kinds that seal nothing. */
  readonly raw?: Uint8Array;
  /** SHA-256 of the raw bytes, where it is known already. */
  readonly sha256?: Uint8Array;
  /** `zstd` when left out. */
  readonly compression?: CompressionPolicy;
  /** zstd level; 3 when left out. */
  readonly level?: number;
  /** The raw bytes begin a file: magic numbers count in the probe. */
  readonly isFileStart?: boolean;
  /** The shortest plaintext; when left out 4,096 for blocks and bundles and 512 for all else. */
  readonly floorBytes?: number;
};

/** What seals. */
export type SealKeys = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly ring: KeyRing;
  /** Seals keyrings. */
  readonly ringKey?: Uint8Array;
  /** Ed25519 of the writer that the ordinal names; for the kinds that are signed. */
  readonly sign?: (message: Uint8Array) => Uint8Array;
};

/** What opens: the keys at hand of each epoch; a grant to browse has only `metadata`. */
export type OpenKeys = {
  readonly archiveId: Uint8Array;
  readonly ring: ReadonlyMap<number, { readonly data?: Uint8Array; readonly metadata?: Uint8Array }>;
  readonly ringKey?: Uint8Array;
};

/** A record, opened and checked. `open` and `signature` are views. */
export type OpenedRecord = Pick<RecordParts, 'header' | 'open' | 'signature'> & {
  readonly raw: Uint8Array;
  readonly sha256: Uint8Array;
};

/** A record that is compressed and has its length, but is not sealed yet. */
export type SealPlan = {
  readonly content: SealContent;
  /** Of the whole record. */
  readonly lengthBytes: number;
  readonly sealedBytes: number;
  /** Bytes 0 to 40 of the plaintext, the payload, the padding; none for kinds that seal nothing. */
  readonly plaintext: readonly Uint8Array[];
  /** The payload where it is not the raw bytes themselves: its memory is given back once it is sealed. */
  readonly compressed: Uint8Array | undefined;
  readonly compressor: string;
};

const nothing = new Uint8Array(0);
const zeros = new Uint8Array(256 * 1024);

/**
 * Seals a record into bytes of its own. Synchronous; for blocks and bundles the raw bytes are read, never copied whole.
 *
 * An ordinal is sealed once: sealing anew needs another one.
 */
export function sealRecord(content: SealContent, keys: SealKeys, random: Random): Uint8Array<ArrayBuffer> {
  const plan = planSeal(content);
  const record = new Uint8Array(plan.lengthBytes);
  sealInto(record, 0, plan, { ...keys, random });
  return record;
}

/** Compresses and pads: after this the record's length is known, and where it can lie. @throws archive.too_large */
export function planSeal(content: SealContent): SealPlan {
  const openBytes = content.open?.length ?? 0;
  if (openBytes > maxOpenBytes) throw archiveErrors.too_large({ what: 'open part', bytes: openBytes });
  const kind = RecordKind[content.kind];
  const { raw } = content;
  assert((raw !== undefined) === isSealedKind(kind), 'raw bytes are there where the kind seals them');
  const bare = { plaintext: [], compressed: undefined, compressor: 'none' };
  const { plaintext, compressed, compressor } = raw === undefined ? bare : planPlaintext(content, raw);
  const sealedBytes = raw === undefined ? 0 : plaintext.reduce((sum, part) => sum + part.length, tagBytes);
  const signed = isSignedKind(kind) ? signatureBytes : 0;
  return {
    content,
    lengthBytes: recordHeaderBytes + openBytes + sealedBytes + signed,
    sealedBytes,
    plaintext,
    compressed,
    compressor,
  };
}

/** Seals and signs a planned record, once, into `target` from `offset` on; it takes `plan.lengthBytes`. */
export function sealInto(
  target: Uint8Array,
  offset: number,
  plan: SealPlan,
  keys: SealKeys & { readonly random: Random },
): void {
  const { content, sealedBytes } = plan;
  const { open = nothing } = content;
  const kind = RecordKind[content.kind];
  const header = {
    version: 1,
    kind,
    epoch: content.epoch,
    ordinal: content.ordinal,
    signatureBytes: isSignedKind(kind) ? signatureBytes : 0,
    openBytes: open.length,
    sealedBytes,
  };
  const record = target.subarray(offset, offset + recordLengthOf(header));
  const headerBytes = record.subarray(0, 48);
  headerBytes.fill(0);
  writeHeaderStart(headerBytes, header);
  record.set(open, recordHeaderBytes);
  const sealedAt = recordHeaderBytes + open.length;
  if (sealedBytes > 0) sealPlaintext(record, sealedAt, plan, keys);
  if (plan.compressed !== undefined) release(plan.compressed);
  if (header.signatureBytes > 0) {
    const sealed = record.subarray(sealedAt, sealedAt + sealedBytes);
    assert(keys.sign !== undefined, 'who seals a record of a signed kind can sign');
    record.set(keys.sign(signedMessage(keys.archiveId, { headerBytes, open, sealed })), sealedAt + sealedBytes);
  }
  putCrc(record, recordCrcOf(record, 0, record.length, crc32));
}

/** Opens a record and checks lengths, tag and SHA-256, synchronously. Its CRC and its signature are not asked. */
export function openRecordSync(bytes: Uint8Array, keys: OpenKeys): OpenedRecord {
  const opened = openUnhashedSync(bytes, keys);
  if (!equalBytes(hash('sha256', opened.raw, 'buffer'), opened.sha256)) {
    throw corrupt('sealed part: the SHA-256 of its raw bytes does not hold');
  }
  return opened;
}

/**
 * Opens a record and checks lengths and tag only: for whoever checks the SHA-256 of every piece it takes out of `raw`,
 * so that the bytes are hashed once.
 */
export function openUnhashedSync(bytes: Uint8Array, keys: OpenKeys): OpenedRecord {
  const { header, headerBytes, nonce, open, sealed, signature } = splitRecord(bytes);
  if (!isKnownRecord(header)) throw corrupt(`record: kind ${header.kind} of version ${header.version} is not known`);
  const key = keyFor(header.kind, header.epoch, keys);
  const { ordinal } = header;
  if (key === undefined) throw archiveErrors.key_missing({ ordinal, kind: header.kind, epoch: header.epoch });
  let plaintext: Uint8Array<ArrayBuffer>;
  try {
    plaintext = key.open(nonce, sealed, associatedData(keys.archiveId, headerBytes, open));
  } catch (error) {
    throw archiveErrors.not_authentic({ ordinal, kind: header.kind, epoch: header.epoch }, error);
  }
  const { compression, rawBytes, sha256, payload } = parsePlaintext(plaintext);
  const opened = { header, open, signature };
  if (compression === 'none') return { ...opened, raw: payload, sha256 };
  const raw = decompress(payload, rawBytes);
  const stated = sha256.slice();
  release(plaintext);
  return { ...opened, raw, sha256: stated };
}

/**
 * Whether bytes are not the one record that was sealed: their CRC or their tag does not hold. What it holds is not looked at.
 *
 * A record that seals nothing, or whose key is not at hand, is judged by its CRC alone, which anybody can make anew: what
 * comes from somebody who may lie is asked with `isAuthentic`.
 */
export function isAltered(bytes: Uint8Array, keys: OpenKeys): boolean {
  try {
    const { header, headerBytes, nonce, open, sealed } = splitRecord(bytes);
    if (recordLengthOf(header) !== bytes.length || !verifyRecordCrc(bytes, 0, header, crc32)) return true;
    const key =
      isKnownRecord(header) && isSealedKind(header.kind) ? keyFor(header.kind, header.epoch, keys) : undefined;
    if (key) release(key.open(nonce, sealed, associatedData(keys.archiveId, headerBytes, open)));
    return false;
  } catch {
    // It begins no record, or the tag does not hold: the cipher has no other way to say so.
    return true;
  }
}

/**
 * Whether bytes are exactly one record that a listed writer's device sealed or signed, down to the last byte: of a version
 * and kind that are known, of the length and CRC it states, and under a tag or a signature that holds. Nobody without the
 * archive's keys can make such bytes, nor a second form of a record that has one.
 *
 * A record whose key is not at hand, or whose writer `publicKeyOf` does not know, is none. What it holds is not looked at.
 */
export function isAuthentic(
  bytes: Uint8Array,
  keys: OpenKeys,
  publicKeyOf: (writerNumber: number) => Uint8Array | undefined,
): boolean {
  let header: RecordHeader;
  try {
    header = parseRecordHeader(bytes);
  } catch {
    // It begins no record: the parser has no other way to say so.
    return false;
  }
  const publicKey = publicKeyOf(writerOf(header.ordinal));
  if (publicKey === undefined || !isKnownRecord(header) || recordLengthOf(header) !== bytes.length) return false;
  if (isSignedKind(header.kind)) return isRecordSignedBy(bytes, keys.archiveId, publicKey);
  return keyFor(header.kind, header.epoch, keys) !== undefined && !isAltered(bytes, keys);
}

/** Whether bytes are a whole record of a signed kind, its CRC included and no byte more, by the holder of `publicKey`. */
export function isRecordSignedBy(bytes: Uint8Array, archiveId: Uint8Array, publicKey: Uint8Array): boolean {
  const parts = splitRecord(bytes);
  const isWhole = recordLengthOf(parts.header) === bytes.length && verifyRecordCrc(bytes, 0, parts.header, crc32);
  return isWhole && isSignedBy(publicKey, signedMessage(archiveId, parts), parts.signature);
}

function decompress(payload: Uint8Array, rawBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return decompressZstd(payload, rawBytes);
  } catch (error) {
    throw corrupt('sealed part: its payload does not decompress', undefined, error);
  }
}

function planPlaintext(
  content: SealContent,
  raw: Uint8Array,
): Pick<SealPlan, 'plaintext' | 'compressed' | 'compressor'> {
  if (raw.length > maxRawBytes) throw archiveErrors.too_large({ what: 'raw bytes', bytes: raw.length });
  const level = content.level ?? 3;
  const compressed = isWorthTrying(content, raw) ? compressIfSmaller(raw, level) : undefined;
  const payload = compressed ?? raw;
  const head = encodePlaintextHead({
    compression: compressed === undefined ? 'none' : 'zstd',
    rawBytes: raw.length,
    payloadBytes: payload.length,
    sha256: content.sha256 ?? hash('sha256', raw, 'buffer'),
  });
  const used = plaintextHeadBytes + payload.length;
  const padding = padmeBytes(used, content.floorBytes ?? floorOf(content.kind)) - used;
  const compressor = compressed === undefined ? 'none' : zstdCompressorName(level, raw.length);
  return { plaintext: [head, payload, zeros.subarray(0, padding)], compressed, compressor };
}

function isWorthTrying({ compression = 'zstd', isFileStart = false }: SealContent, raw: Uint8Array): boolean {
  if (compression === 'none' || raw.length === 0) return false;
  return compression === 'zstd' || probe(raw, isFileStart) === 'compressible';
}

function floorOf(kind: RecordKindName): number {
  return kind === 'block' || kind === 'bundle' ? 4096 : 512;
}

function sealPlaintext(
  record: Uint8Array,
  sealedAt: number,
  plan: SealPlan,
  keys: SealKeys & { readonly random: Random },
): void {
  const { open = nothing, kind, epoch } = plan.content;
  const headerBytes = record.subarray(0, 48);
  const epochKeys = keys.ring.get(epoch);
  const key = keyFor(RecordKind[kind], epoch, keys);
  assert(epochKeys !== undefined && key !== undefined, 'who seals has the keys of the epoch');
  const nonce = hedgeNonce(epochKeys.nonces, {
    random: keys.random(24),
    headerStart: record.subarray(0, 24),
    openHash: hash('sha256', open, 'buffer'),
    plaintextStart: plan.plaintext[0]!,
    compressor: plan.compressor,
  });
  headerBytes.set(nonce, 24);
  const associated = associatedData(keys.archiveId, headerBytes, open);
  key.sealInto(record, sealedAt, { nonce, parts: plan.plaintext, associated });
}

// An expanded key is worth keeping: it costs more than sealing a small record.
const expanded = new WeakMap<Uint8Array, XaesKey>();

function keyFor(kind: number, epoch: number, keys: OpenKeys): XaesKey | undefined {
  const use = keyUseOf(kind);
  if (use === undefined) throw corrupt(`record: nothing of kind ${kind} is sealed`);
  const key = use === 'ring' ? keys.ringKey : keys.ring.get(epoch)?.[use];
  if (key === undefined) return undefined;
  const known = expanded.get(key);
  if (known !== undefined) return known;
  const made = new XaesKey(key);
  expanded.set(key, made);
  return made;
}
