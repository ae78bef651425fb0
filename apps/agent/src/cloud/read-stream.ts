import { CodedError } from '@holdfast/base';
import { cloudErrors } from './errors.ts';

/** Bytes of a reply, taken in pieces of the length asked for. */
export type StreamView = {
  /** The next bytes, left where they are; undefined at the end. */
  peek(length: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** The next bytes, which are the caller's; undefined at the end. */
  take(length: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
};

/**
 * Reads a reply's body. @throws cloud_link.reply_invalid, by its methods, where it ends within a piece;
 * cloud_link.reply_cut where it does not go on
 */
export function readStream(reply: Response, signal?: AbortSignal): StreamView {
  const chunks = (reply.body ?? new Blob([]).stream())[Symbol.asyncIterator]();
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let isOver = false;
  const asCut = (error: unknown) => {
    signal?.throwIfAborted();
    throw error instanceof CodedError ? error : cloudErrors.reply_cut({}, error);
  };
  const gather = async (length: number) => {
    while (heldBytes < length && !isOver) {
      const { done = false, value } = await chunks.next().catch(asCut);
      if (done) isOver = true;
      else {
        held.push(value as Uint8Array);
        heldBytes += (value as Uint8Array).length;
      }
    }
    if (heldBytes === 0) return false;
    if (heldBytes < length) throw cloudErrors.reply_invalid({ lackingBytes: length - heldBytes });
    return true;
  };
  const copy = (length: number) => {
    const bytes = new Uint8Array(length);
    let filled = 0;
    for (const chunk of held) {
      if (filled === length) break;
      const part = chunk.subarray(0, length - filled);
      bytes.set(part, filled);
      filled += part.length;
    }
    return bytes;
  };
  const drop = (length: number) => {
    let left = length;
    while (left > 0 && held[0]!.length <= left) left -= held.shift()!.length;
    if (left > 0) held = [held[0]!.subarray(left), ...held.slice(1)];
    heldBytes -= length;
  };
  return {
    peek: async (length) => ((await gather(length)) ? copy(length) : undefined),
    async take(length) {
      if (!(await gather(length))) return undefined;
      const bytes = copy(length);
      drop(length);
      return bytes;
    },
  };
}
