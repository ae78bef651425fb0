import type { DestinationSession } from './destination-place.ts';

const fragmentBytes = 3 * 1024 * 1024;

/** What may end the appending, and who hears what is safe. */
type Hooks = {
  readonly signal: AbortSignal;
  /** Hears of records, in a buffer of their own, once they are acknowledged. */
  readonly onAppended: (records: readonly Uint8Array[], bytes: number) => void;
};

/** Appends records as they come, in fragments of some mebibytes. @throws what the destination or who yields them throws */
export async function appendRecords(
  to: DestinationSession,
  records: AsyncIterable<Uint8Array>,
  { signal, onAppended }: Hooks,
): Promise<void> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const send = async () => {
    if (waiting.length === 0) return;
    signal.throwIfAborted();
    await to.append(new Uint8Array(Buffer.concat(waiting)));
    onAppended(waiting, bytes);
    [waiting, bytes] = [[], 0];
  };
  for await (const record of records) {
    if (bytes + record.length > fragmentBytes) await send();
    // What a session hands out may lie in a buffer that it uses again.
    waiting.push(record.slice());
    bytes += record.length;
  }
  await send();
}
