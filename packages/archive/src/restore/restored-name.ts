/** Names that a restore gives where the recorded one cannot be had. Pure: bytes in, bytes out. */

/** The longest name that the file systems of Linux take. */
const longestName = 255;
const dot = 0x2e;
const encoder = new TextEncoder();

/** The name for a restored entry where another keeps the place: `notes (restored).txt`, then `notes (restored 2).txt` and on. */
export function restoredName(name: Uint8Array, attempt: number): Uint8Array {
  const suffix = encoder.encode(attempt === 1 ? ' (restored)' : ` (restored ${attempt})`);
  const extensionAt = extensionOf(name);
  const extension = name.subarray(extensionAt);
  const room = Math.max(1, longestName - suffix.length - extension.length);
  return concat(cutAt(name.subarray(0, extensionAt), room), suffix, extension);
}

/**
 * A name that every file system takes, for one that the target cannot hold: unsafe bytes become `%XX`, and what is too
 * long is cut and ends in `~` and eight digits that tell it from others cut at the same place.
 */
export function escapedName(name: Uint8Array): Uint8Array {
  const escaped = encoder.encode(Array.from(name, escapeByte).join(''));
  if (escaped.length <= longestName) return escaped;
  const digits = encoder.encode(`~${fnv1a(name).toString(16).padStart(8, '0')}`);
  return concat(escaped.subarray(0, longestName - digits.length - 3), digits);
}

/** Where the extension begins: the last dot that is neither first nor followed by more than 16 bytes; else the end. */
function extensionOf(name: Uint8Array): number {
  const at = name.lastIndexOf(dot);
  return at > 0 && name.length - at <= 17 ? at : name.length;
}

/** Cuts at most `room` bytes, not within a character of UTF-8. */
function cutAt(bytes: Uint8Array, room: number): Uint8Array {
  if (bytes.length <= room) return bytes;
  let end = room;
  while (end > 1 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function escapeByte(byte: number): string {
  const isSafe = byte >= 0x20 && byte < 0x7f && !'"*/:<>?\\|%'.includes(String.fromCharCode(byte));
  return isSafe ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** FNV-1a, 32 bits: names are told apart, nothing is protected by it. */
function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
