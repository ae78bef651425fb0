import type { Readable } from 'node:stream';
import type { Clock } from '@holdfast/base';
import { requestErrors, storageErrors } from '@holdfast/contract';

/** Memory for bodies that are being received: bounded for the whole process, one tenant's share of it too, and used again. */
export class BodyMemory {
  readonly #limitBytes: number;
  readonly #takenOf = new Map<string, number>();
  readonly #spare: ArrayBuffer[] = [];
  #takenBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Room for a body of a tenant; `release` it when its bytes are used no more. @throws storage.busy */
  take(
    lengthBytes: number,
    tenantId: string,
  ): { readonly bytes: Uint8Array<ArrayBuffer>; readonly release: () => void } {
    const isUsual = lengthBytes <= USUAL_BYTES;
    const roomBytes = isUsual ? USUAL_BYTES : lengthBytes;
    const ofTenant = (this.#takenOf.get(tenantId) ?? 0) + roomBytes;
    const isFull = this.#takenBytes + roomBytes > this.#limitBytes || ofTenant > this.#limitBytes * TENANT_SHARE;
    if (isFull) throw storageErrors.busy({ retryAfterSeconds: 1 });
    this.#count(tenantId, roomBytes);
    const room = (isUsual ? this.#spare.pop() : undefined) ?? new ArrayBuffer(roomBytes);
    let isTaken = true;
    const release = () => {
      if (!isTaken) return;
      isTaken = false;
      this.#count(tenantId, -roomBytes);
      if (isUsual && this.#spare.length < MAX_SPARE) this.#spare.push(room);
    };
    return { bytes: new Uint8Array(room, 0, lengthBytes), release };
  }

  #count(tenantId: string, bytes: number): void {
    this.#takenBytes += bytes;
    const ofTenant = (this.#takenOf.get(tenantId) ?? 0) + bytes;
    if (ofTenant === 0) this.#takenOf.delete(tenantId);
    else this.#takenOf.set(tenantId, ofTenant);
  }
}

/** What of the memory one tenant may take: bodies that come slowly on purpose must not keep everybody else's out. */
const TENANT_SHARE = 3 / 4;

const USUAL_BYTES = 4 * 1024 * 1024;
const MAX_SPARE = 16;
/** How long nothing may arrive of a body: a slow line is fine, a silent one is not. */
const SILENCE_MS = 30_000;

/** What is known of a body before it arrives. */
export type ExpectedBody = {
  readonly tenantId: string;
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
  { tenantId, contentLength, maxBytes, clock }: ExpectedBody,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly release: () => void }> {
  if (!stream) return { bytes: new Uint8Array(0), release: () => undefined };
  const roomBytes = contentLength === undefined ? maxBytes : Number(contentLength);
  if (roomBytes > maxBytes) throw requestErrors.too_large({ maxBytes });
  const room = memory.take(roomBytes, tenantId);
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
