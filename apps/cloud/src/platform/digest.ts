import { createHash } from 'node:crypto';

/** The SHA-256 of text (as UTF-8) or bytes. */
export function sha256(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}
