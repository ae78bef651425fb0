/** Names as Linux has them: bytes, of no encoding. */
import { isUtf8 } from 'node:buffer';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of a name or path given as text. */
export function nameBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A name for people: its text where it is UTF-8, else Latin-1 with every byte from 0x80 as `\xNN`. Never to be opened again. */
export function printableName(name: Uint8Array): string {
  if (isUtf8(name)) return decoder.decode(name);
  return Array.from(name, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join('');
}

/** Order of the archive: bytewise, a prefix first. Negative, zero or positive. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
