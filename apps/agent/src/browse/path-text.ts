import { isUtf8 } from 'node:buffer';

/**
 * A path as text that shows every byte and leads back to the same bytes: control characters and bytes that are no UTF-8 are
 * written `\xNN`, a backslash `\\`.
 */
export function pathToText(path: Uint8Array): string {
  let text = '';
  for (let at = 0; at < path.length;) {
    const length = characterLength(path, at);
    if (length === 0) {
      text += escapeByte(path[at++]!);
      continue;
    }
    const character = Buffer.from(path.subarray(at, at + length)).toString();
    if (character === '\\') text += '\\\\';
    else if (/\p{C}/u.test(character)) text += Array.from(path.subarray(at, at + length), escapeByte).join('');
    else text += character;
    at += length;
  }
  return text;
}

/** The bytes of such a text; a backslash before anything else stands for itself. */
export function textToPath(text: string): Uint8Array {
  const parts = text.split(/(\\\\|\\x[0-9a-fA-F]{2})/);
  return Buffer.concat(
    parts.map((part) => {
      if (part === '\\\\') return Buffer.from('\\');
      return /^\\x[0-9a-fA-F]{2}$/.test(part) ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
    }),
  );
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Bytes of the UTF-8 character that begins there; 0 where none does. */
function characterLength(path: Uint8Array, at: number): number {
  const first = path[at]!;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  const bytes = path.subarray(at, at + length);
  return length > 0 && bytes.length === length && isUtf8(bytes) ? length : 0;
}

/** The path of a name in a directory. */
export function joined(directory: Uint8Array, name: Uint8Array): Uint8Array {
  return Buffer.concat(directory.at(-1) === 0x2f ? [directory, name] : [directory, Buffer.from('/'), name]);
}
