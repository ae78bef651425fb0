/** Shorter ones may lie in a pool that others use. */
const ownBytes = 128 * 1024;

/**
 * Gives the memory of large bytes back at once, instead of when the collector next comes: it comes rarely for memory
 * outside its heap. The bytes, and every view of the same buffer, are empty from then on.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= ownBytes) buffer.transfer(0);
}
