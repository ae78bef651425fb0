import { createHash, randomBytes, randomInt } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';

/** One way in which something secret may show. */
export type Needle = { readonly name: string; readonly bytes: Buffer };

const alphabets = ['base64', 'base64url'] as const;

/** How bytes may show: as they are, in hex of either case, in base64 wherever they begin in it. */
export function formsOfBytes(what: string, bytes: Uint8Array): readonly Needle[] {
  const hex = Buffer.from(bytes).toString('hex');
  const texts = new Map([
    ['hex', hex],
    ['HEX', hex.toUpperCase()],
  ]);
  for (const alphabet of alphabets)
    for (const before of [0, 1, 2]) texts.set(`${alphabet} after ${before}`, base64Within(bytes, before, alphabet));
  return [
    { name: `${what}, raw`, bytes: Buffer.from(bytes) },
    ...[...texts].map(([form, text]) => ({ name: `${what}, ${form}`, bytes: Buffer.from(text) })),
  ];
}

/** How a text may show: its UTF-8 in all forms of bytes, UTF-16 of both orders, and its SHA-256 in all forms of bytes. */
export function formsOfText(what: string, text: string): readonly Needle[] {
  const little = Buffer.from(text, 'utf16le');
  return [
    ...formsOfBytes(what, Buffer.from(text)),
    { name: `${what}, UTF-16LE`, bytes: little },
    { name: `${what}, UTF-16BE`, bytes: Buffer.from(little).swap16() },
    ...formsOfBytes(`SHA-256 of ${what}`, sha256(text)),
  ];
}

/** The characters of a base64 text that these bytes alone decide, with so many others before them (modulo 3). */
function base64Within(bytes: Uint8Array, before: number, alphabet: 'base64' | 'base64url'): string {
  const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString(alphabet);
  return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

/** A text for file contents. */
export function contentMarker(): string {
  return `marker ${randomBytes(16).toString('base64url')}`;
}

/** A text all of whose forms can be names of files: none has a slash or a zero byte. */
export function nameMarker(): string {
  for (;;) {
    const text = Array.from({ length: 12 }, () => String.fromCodePoint(randomInt(0x4e01, 0x9f00))).join('');
    const isName = ({ bytes }: Needle) => !bytes.includes(0) && !bytes.includes(0x2f);
    if (formsOfText('', text).every(isName)) return text;
  }
}

export function sha256(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** The needles that are in these bytes, or in anything compressed with zstd that they hold. */
export function findNeedles(bytes: Buffer, needles: readonly Needle[]): readonly Needle[] {
  const all = [bytes, ...unpacked(bytes)];
  return needles.filter((needle) => all.some((each) => each.includes(needle.bytes)));
}

function unpacked(bytes: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = bytes.indexOf(zstdMagic); at >= 0; at = bytes.indexOf(zstdMagic, at + 1)) {
    const end = zstdFrameEnd(bytes, at);
    if (end === undefined) continue;
    try {
      found.push(zstdDecompressSync(bytes.subarray(at, end), { maxOutputLength: 16 * 1024 * 1024 }));
    } catch {
      // The four bytes were there by chance.
    }
  }
  return found;
}

/** Where a zstd frame ends by its block headers (RFC 8878, 3.1.1); undefined where it is none. */
function zstdFrameEnd(bytes: Buffer, start: number): number | undefined {
  const descriptor = bytes[start + 4];
  if (descriptor === undefined) return undefined;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  for (let at = start + 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes; at + 3 <= bytes.length;) {
    const header = bytes.readUIntLE(at, 3);
    const isRun = ((header >> 1) & 3) === 1;
    at += 3 + (isRun ? 1 : header >> 3);
    if ((header & 1) === 1) return at + checksumBytes <= bytes.length ? at + checksumBytes : undefined;
  }
  return undefined;
}
