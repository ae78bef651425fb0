/** Greatest length of a fragment: a run of whole records that is sent and acknowledged as one. */
export const maxFragmentBytes = 2 * 1024 * 1024;

/** Gathers whole records into fragments, in order, and hands each over when it is full. */
export class FragmentWriter {
  readonly #charge: (bytes: number) => boolean;
  readonly #handOver: (fragment: Uint8Array<ArrayBuffer>) => void;
  readonly #spare: () => ArrayBuffer | undefined;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /**
   * @param charge takes room for bytes on their way, waiting for it; false when stopped
   * @param handOver takes a fragment over, its buffer included
   * @param spare gives back the buffer of a fragment that was sent, if there is one
   */
  constructor(
    charge: (bytes: number) => boolean,
    handOver: (fragment: Uint8Array<ArrayBuffer>) => void,
    spare: () => ArrayBuffer | undefined,
  ) {
    this.#charge = charge;
    this.#handOver = handOver;
    this.#spare = spare;
  }

  /**
   * Makes room for one record of this length, waiting while too much is under way; `write` then puts it there.
   * False when stopped: nothing was written.
   */
  add(lengthBytes: number, write: (target: Uint8Array<ArrayBuffer>, offset: number) => void): boolean {
    if (this.#buffer && this.#length + lengthBytes > this.#buffer.length && !this.flush()) return false;
    this.#buffer ??= this.#newBuffer(lengthBytes);
    write(this.#buffer, this.#length);
    this.#length += lengthBytes;
    return true;
  }

  /** Hands over what has gathered. False when stopped. */
  flush(): boolean {
    const buffer = this.#buffer;
    if (!buffer || this.#length === 0) return true;
    if (!this.#charge(this.#length)) return false;
    this.#handOver(buffer.subarray(0, this.#length));
    this.#buffer = undefined;
    this.#length = 0;
    return true;
  }

  #newBuffer(atLeast: number): Uint8Array<ArrayBuffer> {
    // A record of 4 MiB raw is a little longer when sealed; it goes alone.
    if (atLeast > maxFragmentBytes) return new Uint8Array(atLeast);
    return new Uint8Array(this.#spare() ?? new ArrayBuffer(maxFragmentBytes));
  }
}
