import { assert } from '@holdfast/base';

/** Content-defined cutting starts again at every multiple of this many bytes of a file, so that workers can take ranges. */
export const restartBytes = 64 * 1024 * 1024;

/** A piece: where it starts in the chunker's arena, and how long it is. */
export type Cut = readonly [offset: number, lengthBytes: number];

/** Decides where a piece ends, over an arena of its own. The only part in which the chunker ids differ. */
export type Cutter = {
  /** The file's bytes are read into this; at least twice `maxBytes` long, never reallocated. */
  readonly arena: Uint8Array<ArrayBuffer>;
  /** No piece is longer. */
  readonly maxBytes: number;
  /** Forgets the piece under way. */
  restart(): void;
  /**
   * Length of the piece at `start`, or 0 when it does not end within `availableBytes` (at most `hardBytes`, its
   * greatest length). After 0 the same piece is asked about again with more bytes, perhaps at another place.
   */
  cut(start: number, availableBytes: number, hardBytes: number): number;
};

/**
 * Cuts one file, or one 64 MiB range of one, into pieces while it is read; the bytes are read straight into the arena
 * and never copied but for the unfinished piece between two reads.
 *
 * ```
 * chunker.begin();
 * for (let isEnd = false; !isEnd; ) {
 *   const bytesRead = readSync(fd, chunker.space());
 *   isEnd = bytesRead === 0;
 *   for (const [offset, length] of chunker.cuts(bytesRead, isEnd)) store(chunker.bytes(offset, length));
 * }
 * ```
 *
 * Pieces come in order and concatenate to what was read, wherever the reads were split. One instance per worker; its
 * memory never grows.
 */
export class Chunker {
  readonly #cutter: Cutter;
  #pendingAt = 0;
  #filledTo = 0;
  #untilRestart = restartBytes;
  #isWalking = false;

  constructor(cutter: Cutter) {
    assert(cutter.arena.length >= 2 * cutter.maxBytes, 'the arena holds two of the longest pieces');
    this.#cutter = cutter;
  }

  /** Starts a file or a range of one; its first byte lies at a multiple of `restartBytes` in the file. Drops what was under way. */
  begin(): void {
    this.#cutter.restart();
    this.#pendingAt = 0;
    this.#filledTo = 0;
    this.#untilRestart = restartBytes;
    this.#isWalking = false;
  }

  /** Where to read the next bytes to: always more than half of the arena. Pieces handed out before are no longer there. */
  space(): Uint8Array<ArrayBuffer> {
    assert(!this.#isWalking, 'the cuts of the last read have been walked to their end');
    const { arena } = this.#cutter;
    if (this.#pendingAt > 0) arena.copyWithin(0, this.#pendingAt, this.#filledTo);
    this.#filledTo -= this.#pendingAt;
    this.#pendingAt = 0;
    return arena.subarray(this.#filledTo);
  }

  /**
   * The pieces that end within the `bytesRead` bytes just read into `space()`; with `isEnd`, also the rest.
   *
   * They are found as they are walked, so that a piece is still in the processor's cache when it is used. Walk them
   * to the end before the next read. After the last piece of an end the chunker is at a beginning again.
   */
  cuts(bytesRead: number, isEnd: boolean): Generator<Cut, void, undefined> {
    assert(!this.#isWalking, 'the cuts of the last read have been walked to their end');
    assert(bytesRead >= 0 && this.#filledTo + bytesRead <= this.#cutter.arena.length, 'bytes were read into the space');
    this.#filledTo += bytesRead;
    this.#isWalking = true;
    return this.#walk(isEnd);
  }

  /** The bytes of a piece, as a view that is valid until the next `space()`. */
  bytes(offset: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
    return this.#cutter.arena.subarray(offset, offset + lengthBytes);
  }

  *#walk(isEnd: boolean): Generator<Cut, void, undefined> {
    while (this.#filledTo > this.#pendingAt) {
      const available = this.#filledTo - this.#pendingAt;
      const hard = Math.min(this.#cutter.maxBytes, this.#untilRestart);
      const found = this.#cutter.cut(this.#pendingAt, Math.min(available, hard), hard);
      if (found === 0 && !isEnd) break;
      const length = found === 0 ? available : found;
      const offset = this.#pendingAt;
      this.#pendingAt += length;
      this.#untilRestart = this.#untilRestart === length ? restartBytes : this.#untilRestart - length;
      yield [offset, length];
    }
    if (isEnd) this.begin();
    this.#isWalking = false;
  }
}
