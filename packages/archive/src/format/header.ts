import { archiveErrors } from '../errors.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';

/** The draft of format 1 that this version writes and reads. */
export const draftRevision = 2;

/** The one suite of algorithms there is. */
export const suiteOne = 1;

/** The open part of a header record: ordinal 0, whose SHA-256 begins with the archive id. */
export type ArchiveHeader = WithUnknown & {
  readonly formatVersion: number;
  /** Left out once the format is frozen. */
  readonly draft?: number;
  /** 32 random bytes. */
  readonly salt: Uint8Array;
  /** Suite of epoch 0. */
  readonly suite: number;
  /** Ed25519 public key of writer 0. */
  readonly writerKey: Uint8Array;
};

const headerFields = defineFields('header', { 1: 'must', 2: 'must', 3: 'must', 4: 'must', 5: 'must' });

/** Reads the open part of a header record. @throws archive.unknown_format, archive.corrupt, archive.unknown_field */
export function parseHeader(open: Uint8Array): ArchiveHeader {
  const fields = new FieldReader(open, headerFields);
  let [formatVersion, draft, suite]: (number | undefined)[] = [];
  let [salt, writerKey]: (Uint8Array | undefined)[] = [];
  while (fields.next()) {
    if (fields.tag === 1) formatVersion = fields.number();
    else if (fields.tag === 2) draft = fields.number();
    else if (fields.tag === 3) salt = fields.exactly(32);
    else if (fields.tag === 4) suite = fields.number();
    else writerKey = fields.exactly(32);
  }
  const header = {
    formatVersion: fields.required(formatVersion, 1),
    salt: fields.required(salt, 3),
    suite: fields.required(suite, 4),
    writerKey: fields.required(writerKey, 5),
  };
  if (header.formatVersion !== 1 || draft !== draftRevision || suite !== suiteOne) {
    throw archiveErrors.unknown_format({ formatVersion, draft, suite });
  }
  return { ...header, draft, ...fields.kept() };
}

/** The open part of a header record. */
export function encodeHeader(header: ArchiveHeader): Uint8Array<ArrayBuffer> {
  return new FieldWriter(headerFields, header.unknown)
    .number(1, header.formatVersion)
    .number(2, header.draft)
    .bytes(3, header.salt)
    .number(4, header.suite)
    .bytes(5, header.writerKey)
    .finish();
}
