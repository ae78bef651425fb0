import { archiveErrors } from '../errors.ts';
import { ByteReader, ByteWriter, compareBytes } from './cursor.ts';

/** An extended attribute. Its name is never empty and holds no zero byte. */
export type Xattr = { readonly name: Uint8Array; readonly value: Uint8Array };

/** Reads the bytes of a stream of extended attributes, by rising name. Values are views. @throws archive.corrupt */
export function parseXattrs(bytes: Uint8Array): Xattr[] {
  const reader = new ByteReader(bytes, 'extended attributes');
  const xattrs: Xattr[] = [];
  while (reader.remaining > 0) {
    const name = reader.sized();
    if (name.length === 0 || name.includes(0)) throw reader.corrupt('a name is empty or holds a zero byte');
    const before = xattrs.at(-1);
    if (before !== undefined && compareBytes(before.name, name) >= 0) throw reader.corrupt('names do not rise');
    xattrs.push({ name, value: reader.sized() });
  }
  return xattrs;
}

/** The bytes of the stream of these attributes, in whatever order they come. @throws archive.too_large for names that are none. */
export function encodeXattrs(xattrs: readonly Xattr[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const { name, value } of xattrs.toSorted((a, b) => compareBytes(a.name, b.name))) {
    if (name.length === 0 || name.includes(0)) throw archiveErrors.too_large({ what: 'name of an attribute' });
    writer.putSized(name).putSized(value);
  }
  return writer.written();
}
