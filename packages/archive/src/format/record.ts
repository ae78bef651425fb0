import { corrupt } from '../errors.ts';
import { ByteReader, ByteWriter, equalBytes } from './cursor.ts';
import { crc32, type Crc32 } from './crc32.ts';
import { HOLE_ORDINAL, type Ordinal } from './ordinal.ts';

/** Kinds of records by the numbers of the format. */
export const RecordKind = {
  header: 1,
  keyring: 2,
  block: 3,
  bundle: 4,
  list: 5,
  tree: 6,
  commit: 7,
  live: 8,
} as const;

/** The name of a kind of record. */
export type RecordKindName = keyof typeof RecordKind;

/** The number of a known kind of record. */
export type RecordKind = (typeof RecordKind)[RecordKindName];

/** Bytes of a record's header. */
export const recordHeaderBytes = 52;

/** Bytes of a signature. */
export const signatureBytes = 64;

/** The most bytes of an open part. */
export const maxOpenBytes = 4 * 1024 * 1024 + 64 * 1024;

/** The most bytes of a sealed part: 4 MiB and 41 bytes, padded, and the tag. */
export const maxSealedBytes = 4_325_376 + 16;

const magic = 0x31524648;
const names = new Map<number, RecordKindName>(
  Object.entries(RecordKind).map(([name, kind]) => [kind, name as RecordKindName]),
);
const signed: ReadonlySet<number> = new Set([
  RecordKind.header,
  RecordKind.keyring,
  RecordKind.commit,
  RecordKind.live,
]);
const unsealed: ReadonlySet<number> = new Set([RecordKind.header, RecordKind.live]);

/** What the 52 bytes before a record say. */
export type RecordHeader = {
  readonly version: number;
  /** May be one that this version does not know. */
  readonly kind: number;
  /** Key epoch; 0 where nothing is sealed. */
  readonly epoch: number;
  readonly ordinal: Ordinal;
  readonly signatureBytes: number;
  readonly openBytes: number;
  readonly sealedBytes: number;
  readonly crc: number;
};

/** The parts of a whole record, as views. */
export type RecordParts = {
  readonly header: RecordHeader;
  /** Bytes 0 to 47. */
  readonly headerBytes: Uint8Array;
  readonly nonce: Uint8Array;
  readonly open: Uint8Array;
  readonly sealed: Uint8Array;
  readonly signature: Uint8Array;
};

/** The name of a kind; undefined for one that this version does not know. */
export function kindNameOf(kind: number): RecordKindName | undefined {
  return names.get(kind);
}

/** Whether records of the kind carry a signature. */
export function isSignedKind(kind: number): boolean {
  return signed.has(kind);
}

/** Whether records of the kind have a sealed part. */
export function isSealedKind(kind: number): boolean {
  return names.has(kind) && !unsealed.has(kind);
}

/**
 * Reads the 52 bytes at `offset`. Version and kind may be unknown: such a record is passed over by its length.
 *
 * @throws archive.corrupt when no record can begin here: magic, lengths, or what does not fit the kind.
 */
export function parseRecordHeader(bytes: Uint8Array, offset: number = 0): RecordHeader {
  if (bytes.length - offset < recordHeaderBytes) throw corrupt('record: its header is cut off', offset);
  const reader = new ByteReader(bytes, 'record', offset, offset + recordHeaderBytes);
  if (reader.u32() !== magic) throw corrupt('record: it does not begin with HFR1', offset);
  const version = reader.u8();
  const kind = reader.u8();
  const epoch = reader.u16();
  const ordinal = reader.u48();
  const signatureLength = reader.u16();
  const openBytes = reader.u32();
  const sealedBytes = reader.u32();
  const nonce = reader.take(24);
  const header = { version, kind, epoch, ordinal, signatureBytes: signatureLength, openBytes, sealedBytes };
  const problem = lengthProblem(header) ?? (version === 1 ? kindProblem({ ...header, nonce }) : undefined);
  if (problem !== undefined) throw corrupt(`record: ${problem}`, offset);
  return { ...header, crc: reader.u32() };
}

/** Whether version and kind are those that this version reads. */
export function isKnownRecord(header: RecordHeader): boolean {
  return header.version === 1 && names.has(header.kind);
}

/** The bytes of a whole record. */
export function recordLengthOf(header: Omit<RecordHeader, 'crc'>): number {
  return recordHeaderBytes + header.openBytes + header.sealedBytes + header.signatureBytes;
}

/** The parts of the record that begins at `offset`. @throws archive.corrupt when it is cut off or its header wrong. */
export function splitRecord(bytes: Uint8Array, offset: number = 0): RecordParts {
  const header = parseRecordHeader(bytes, offset);
  if (bytes.length - offset < recordLengthOf(header)) throw corrupt('record: it is cut off', offset);
  const openAt = offset + recordHeaderBytes;
  const sealedAt = openAt + header.openBytes;
  const signatureAt = sealedAt + header.sealedBytes;
  return {
    header,
    headerBytes: bytes.subarray(offset, offset + 48),
    nonce: bytes.subarray(offset + 24, offset + 48),
    open: bytes.subarray(openAt, sealedAt),
    sealed: bytes.subarray(sealedAt, signatureAt),
    signature: bytes.subarray(signatureAt, signatureAt + header.signatureBytes),
  };
}

/** The CRC-32 that a record should have. `update` is Node's where there is Node. */
export function recordCrcOf(bytes: Uint8Array, offset: number, length: number, update: Crc32 = crc32): number {
  const head = update(bytes.subarray(offset, offset + 48), 0);
  return update(bytes.subarray(offset + recordHeaderBytes, offset + length), head);
}

/** Whether the CRC-32 of the whole record at `offset` holds; false, too, when it is cut off. */
export function verifyRecordCrc(
  bytes: Uint8Array,
  offset: number,
  header: RecordHeader,
  update: Crc32 = crc32,
): boolean {
  const length = recordLengthOf(header);
  return length <= bytes.length - offset && recordCrcOf(bytes, offset, length, update) === header.crc;
}

/** Everything of a record but its CRC. */
export type RecordContent = {
  readonly version?: number;
  readonly kind: number;
  readonly epoch: number;
  readonly ordinal: Ordinal;
  /** 24 bytes; left out where nothing is sealed. */
  readonly nonce?: Uint8Array;
  readonly open?: Uint8Array;
  readonly sealed?: Uint8Array;
  readonly signature?: Uint8Array;
};

const nothing = new Uint8Array(0);

/** Writes bytes 0 to 23 of a record's header to `target`: all that is known before it is sealed. */
export function writeHeaderStart(target: Uint8Array, header: Omit<RecordHeader, 'crc'>): void {
  const writer = new ByteWriter(24).u32(magic).u8(header.version).u8(header.kind).u16(header.epoch);
  writer.u48(header.ordinal).u16(header.signatureBytes).u32(header.openBytes).u32(header.sealedBytes);
  target.set(writer.written());
}

/** A whole record. */
export function encodeRecord(content: RecordContent): Uint8Array<ArrayBuffer> {
  const { open = nothing, sealed = nothing, signature = nothing, nonce } = content;
  const header = {
    version: content.version ?? 1,
    kind: content.kind,
    epoch: content.epoch,
    ordinal: content.ordinal,
    signatureBytes: signature.length,
    openBytes: open.length,
    sealedBytes: sealed.length,
  };
  const record = new Uint8Array(recordLengthOf(header));
  writeHeaderStart(record, header);
  if (nonce !== undefined) record.set(nonce, 24);
  record.set(open, recordHeaderBytes);
  record.set(sealed, recordHeaderBytes + open.length);
  record.set(signature, recordHeaderBytes + open.length + sealed.length);
  putCrc(record, recordCrcOf(record, 0, record.length));
  return record;
}

/** Writes the CRC-32 of a whole record into its header. */
export function putCrc(record: Uint8Array, crc: number): void {
  new DataView(record.buffer, record.byteOffset).setUint32(48, crc, true);
}

const signedLabel = new TextEncoder().encode('holdfast v1 record\0');
const noArchive = new Uint8Array(16);

/** What the signature of a record is over, in parts. The header record counts with an archive id of zeros. */
export function signedMessage(
  archiveId: Uint8Array,
  parts: Pick<RecordParts, 'headerBytes' | 'open' | 'sealed'>,
): Uint8Array<ArrayBuffer> {
  const idOf = parts.headerBytes[5] === RecordKind.header ? noArchive : archiveId;
  const message = new Uint8Array(signedLabel.length + 16 + 48 + parts.open.length + parts.sealed.length);
  let at = 0;
  for (const part of [signedLabel, idOf, parts.headerBytes, parts.open, parts.sealed]) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** What a sealed part is bound to: archive id, bytes 0 to 47 of the header, open part. */
export function associatedData(
  archiveId: Uint8Array,
  headerBytes: Uint8Array,
  open: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const associated = new Uint8Array(16 + 48 + open.length);
  associated.set(archiveId);
  associated.set(headerBytes, 16);
  associated.set(open, 64);
  return associated;
}

function lengthProblem(header: Omit<RecordHeader, 'crc'>): string | undefined {
  if (header.openBytes > maxOpenBytes) return 'its open part is too long';
  if (header.sealedBytes > maxSealedBytes) return 'its sealed part is too long';
  if (header.signatureBytes !== 0 && header.signatureBytes !== signatureBytes)
    return 'its signature has another length';
  return header.ordinal === HOLE_ORDINAL ? 'its ordinal is that of a hole' : undefined;
}

function kindProblem(header: Omit<RecordHeader, 'crc'> & { nonce: Uint8Array }): string | undefined {
  if (!names.has(header.kind)) return undefined;
  if (header.signatureBytes > 0 !== signed.has(header.kind)) return 'its signature does not fit its kind';
  if (unsealed.has(header.kind)) {
    const isBare = header.sealedBytes === 0 && header.epoch === 0 && equalBytes(header.nonce, zeroNonce);
    return isBare ? undefined : 'nothing of its kind is sealed';
  }
  return header.sealedBytes < 41 + 16 ? 'its sealed part is too short' : undefined;
}

const zeroNonce = new Uint8Array(24);
