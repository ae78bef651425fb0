/**
 * What the main thread and its workers share without messages: sequence numbers, back-pressure, stopping.
 *
 * One small SharedArrayBuffer of 32-bit cells. Workers may block in it; the main thread never does.
 */
const nextCell = 0;
const limitCell = 1;
const outstandingCell = 2;
const stopCell = 3;
const flushCell = 4;

/** Bytes that may be under way before workers wait. */
export const maxOutstandingBytes = 16 * 1024 * 1024;

/** One side's handle on the shared cells. */
export class SharedControl {
  readonly buffer: SharedArrayBuffer;
  readonly #signed: Int32Array;
  readonly #unsigned: Uint32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(20)) {
    this.buffer = buffer;
    this.#signed = new Int32Array(buffer);
    this.#unsigned = new Uint32Array(buffer);
  }

  /** Takes the next sequence number of the writer, waiting until it is leased; undefined when stopped. */
  takeSequence(): number | undefined {
    const sequence = Atomics.add(this.#unsigned, nextCell, 1);
    for (;;) {
      const limit = Atomics.load(this.#unsigned, limitCell);
      if (sequence < limit) return sequence;
      if (this.isStopped) return undefined;
      Atomics.wait(this.#signed, limitCell, limit | 0, 1000);
    }
  }

  /** Numbers from `first` on may be used, up to but without `limit`: called after the lease is on stable storage. */
  startLease(first: number, limit: number): void {
    Atomics.store(this.#unsigned, nextCell, first);
    this.extendLease(limit);
  }

  extendLease(limit: number): void {
    Atomics.store(this.#unsigned, limitCell, limit);
    Atomics.notify(this.#signed, limitCell);
  }

  /** How many leased numbers are left; negative when workers wait. */
  get remaining(): number {
    return Atomics.load(this.#unsigned, limitCell) - Atomics.load(this.#unsigned, nextCell);
  }

  /** Takes room for bytes on their way, waiting while too many are; false when stopped. */
  charge(bytes: number): boolean {
    for (;;) {
      const outstanding = Atomics.load(this.#signed, outstandingCell);
      if (this.isStopped) return false;
      if (outstanding + bytes <= maxOutstandingBytes || outstanding === 0) {
        if (Atomics.compareExchange(this.#signed, outstandingCell, outstanding, outstanding + bytes) === outstanding) {
          return true;
        }
      } else {
        Atomics.wait(this.#signed, outstandingCell, outstanding, 1000);
      }
    }
  }

  /** Takes room without waiting: for the main thread's own records. */
  chargeAtOnce(bytes: number): boolean {
    Atomics.add(this.#signed, outstandingCell, bytes);
    return true;
  }

  /** Whether more is under way than workers may add to. */
  get isFull(): boolean {
    return Atomics.load(this.#signed, outstandingCell) > maxOutstandingBytes;
  }

  release(bytes: number): void {
    Atomics.sub(this.#signed, outstandingCell, bytes);
    Atomics.notify(this.#signed, outstandingCell);
  }

  /** Asks every worker to flush, those in the middle of a job too: the number of the job that asks for it. */
  askForFlush(job: number): void {
    Atomics.store(this.#signed, flushCell, job);
  }

  /** The number of the last job that asked for a flush; 0 before the first. */
  get flushJob(): number {
    return Atomics.load(this.#signed, flushCell);
  }

  /** Wakes every waiting worker for good. */
  stop(): void {
    Atomics.store(this.#signed, stopCell, 1);
    Atomics.notify(this.#signed, limitCell);
    Atomics.notify(this.#signed, outstandingCell);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#signed, stopCell) === 1;
  }
}
