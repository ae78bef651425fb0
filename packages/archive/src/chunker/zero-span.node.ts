import { Buffer } from 'node:buffer';

const zeros = Buffer.alloc(64 * 1024);

/** Whether every byte is zero: such a piece is stored as a hole. True for no bytes. */
export function isZeroSpan(bytes: Uint8Array): boolean {
  // Most pieces that are not zero show it at an end; this spares them the call.
  if (bytes.length > 0 && (bytes[0] !== 0 || bytes[bytes.length - 1] !== 0)) return false;
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const span = bytes.subarray(at, at + zeros.length);
    if (Buffer.compare(span, span.length === zeros.length ? zeros : zeros.subarray(0, span.length)) !== 0) return false;
  }
  return true;
}
