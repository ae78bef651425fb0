import { closeSync, openSync, readSync } from 'node:fs';
import type { RecordLocation } from '../backup/destination.ts';

const leastBytes = 1024 * 1024;

/**
 * Reads records out of files, one after the other, into one buffer: a gibibyte of records leaves no garbage behind.
 *
 * The file read last stays open, since records come in the order in which they are stored.
 */
export class RecordFiles {
  #open: { readonly file: string; readonly fd: number } | undefined;
  #buffer = new Uint8Array(0);

  /** The bytes, valid until the next call; undefined where they are not there or cannot be read. */
  read({ file, offset, lengthBytes }: RecordLocation): Uint8Array | undefined {
    if (this.#buffer.length < lengthBytes) this.#buffer = new Uint8Array(Math.max(leastBytes, lengthBytes));
    const bytes = this.#buffer.subarray(0, lengthBytes);
    try {
      const fd = this.#fdOf(file);
      for (let at = 0; at < lengthBytes;) {
        const got = readSync(fd, bytes, at, lengthBytes - at, offset + at);
        if (got === 0) return undefined;
        at += got;
      }
      return bytes;
    } catch {
      // Whatever it was, the destination itself is asked next, and says it.
      this.close();
      return undefined;
    }
  }

  close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open) closeSync(open.fd);
  }

  #fdOf(file: string): number {
    if (this.#open?.file === file) return this.#open.fd;
    this.close();
    const fd = openSync(file, 'r');
    this.#open = { file, fd };
    return fd;
  }
}
