import type { Readable } from 'node:stream';
import type { Clock } from '@holdfast/base';
import { requestErrors, storageErrors } from '@holdfast/contract';

/** Memory for bodies that are being received: bounded for the whole process, and used again. */
export class BodyMemory {
  readonly #limitBytes: number;
  readonly #spare: ArrayBuffer[] = [];
  #takenBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Room for a body; `release` it when its bytes are used no more. @throws storage.busy */
  take(lengthBytes: number): { readonly bytes: Uint8Array<ArrayBuffer>; readonly release: () => void } {
    const isUsual = lengthBytes <= USUAL_BYTES;
    const roomBytes = isUsual ? USUAL_BYTES : lengthBytes;
    if (this.#takenBytes + roomBytes > this.#limitBytes) throw storageErrors.busy({ retryAfterSeconds: 1 });
    this.#takenBytes += roomBytes;
    const room = (isUsual ? this.#spare.pop() : undefined) ?? new ArrayBuffer(roomBytes);
    let isTaken = true;
    const release = () => {
      if (!isTaken) return;
      isTaken = false;
      this.#takenBytes -= roomBytes;
      if (isUsual && this.#spare.length < MAX_SPARE) this.#spare.push(room);
    };
    return { bytes: new Uint8Array(room, 0, lengthBytes), release };
  }
}

const USUAL_BYTES = 4 * 1024 * 1024;
const MAX_SPARE = 16;
/** How long nothing may arrive of a body: a slow line is fine, a silent one is not. */
const SILENCE_MS = 30_000;

/** What is known of a body before it arrives. */
export type ExpectedBody = {
  readonly contentLength: string | undefined;
  readonly maxBytes: number;
  readonly clock: Clock;
};

/**
 * Receives a body whole into memory that is bounded; call `release` when its bytes are used no more.
 *
 * @throws request.too_large, request.interrupted, storage.busy
 */
export async function receiveBody(
  stream: Readable | undefined,
  memory: BodyMemory,
  { contentLength, maxBytes, clock }: ExpectedBody,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly release: () => void }> {
  if (!stream) return { bytes: new Uint8Array(0), release: () => undefined };
  const roomBytes = contentLength === undefined ? maxBytes : Number(contentLength);
  if (roomBytes > maxBytes) throw requestErrors.too_large({ maxBytes });
  const room = memory.take(roomBytes);
  try {
    return { bytes: room.bytes.subarray(0, await fill(room.bytes, stream, clock)), release: room.release };
  } catch (error) {
    room.release();
    throw error;
  }
}

/** Listens instead of iterating: a body comes in hundreds of pieces, and the copy of each is all that it needs. */
async function fill(target: Uint8Array, stream: Readable, clock: Clock): Promise<number> {
  const silence = new AbortController();
  let heardAtMs = clock.monotonic();
  const watch = async () => {
    for (let leftMs = SILENCE_MS; leftMs > 0; leftMs = heardAtMs + SILENCE_MS - clock.monotonic())
      await clock.sleep(leftMs, silence.signal);
    stream.destroy(requestErrors.interrupted({ reason: 'the body did not arrive in time' }));
  };
  watch().catch(() => undefined);
  let filled = 0;
  try {
    return await new Promise<number>((resolve, reject) => {
      stream.on('data', (chunk: Buffer) => {
        heardAtMs = clock.monotonic();
        if (filled + chunk.length > target.length) {
          stream.destroy(requestErrors.too_large({ maxBytes: target.length }));
          return;
        }
        target.set(chunk, filled);
        filled += chunk.length;
      });
      stream.once('end', () => resolve(filled));
      stream.once('error', reject);
      stream.once('close', () => reject(requestErrors.interrupted({ reason: 'the body was cut off' })));
    });
  } finally {
    silence.abort();
  }
}
