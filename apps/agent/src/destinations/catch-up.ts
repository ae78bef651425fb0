import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import type { DestinationSession } from './destination-place.ts';

const fragmentBytes = 3 * 1024 * 1024;
const readAtOnce = 256;

/**
 * Brings a destination to where another one is: copies the records it lacks, as they are, by ordinal.
 *
 * Commits come last and in order, so that each counts only once all that it reaches is there. Header and keyrings were
 * sent before. Returns the number of bytes copied.
 */
export async function catchUp(
  from: DestinationSession,
  to: DestinationSession,
  options: { readonly signal: AbortSignal; readonly onCopied?: (bytes: number) => void },
): Promise<number> {
  const known = await sortedOrdinals(to);
  const commits: Ordinal[] = [];
  const copier = new Copier(from, to, options);
  for await (const { ordinal, kind } of from.list()) {
    if (kind === RecordKind.header || kind === RecordKind.keyring || includes(known, ordinal)) continue;
    if (kind === RecordKind.commit || kind === RecordKind.live) commits.push(ordinal);
    else await copier.copy(ordinal);
  }
  await copier.flush();
  // By ordinal: a writer's commits rise with it, and the next writer's follow. One by one, since their order counts.
  for (const ordinal of commits.sort((a, b) => a - b)) await copier.copyAlone(ordinal);
  return copier.copiedBytes;
}

class Copier {
  readonly #from: DestinationSession;
  readonly #to: DestinationSession;
  readonly #options: { readonly signal: AbortSignal; readonly onCopied?: (bytes: number) => void };
  #waiting: Ordinal[] = [];
  copiedBytes = 0;

  constructor(
    from: DestinationSession,
    to: DestinationSession,
    options: { readonly signal: AbortSignal; readonly onCopied?: (bytes: number) => void },
  ) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  async copy(ordinal: Ordinal): Promise<void> {
    this.#waiting.push(ordinal);
    if (this.#waiting.length >= readAtOnce) await this.flush();
  }

  async copyAlone(ordinal: Ordinal): Promise<void> {
    for await (const record of this.#from.read([ordinal], this.#options.signal)) await this.#send([record]);
  }

  async flush(): Promise<void> {
    const ordinals = this.#waiting;
    this.#waiting = [];
    let fragment: Uint8Array[] = [];
    let bytes = 0;
    for await (const record of this.#from.read(ordinals, this.#options.signal)) {
      if (bytes + record.length > fragmentBytes && bytes > 0) {
        await this.#send(fragment);
        fragment = [];
        bytes = 0;
      }
      // What a session hands out may lie in a buffer that it uses again.
      fragment.push(record.slice());
      bytes += record.length;
    }
    await this.#send(fragment);
  }

  async #send(records: readonly Uint8Array[]): Promise<void> {
    if (records.length === 0) return;
    this.#options.signal.throwIfAborted();
    const fragment = new Uint8Array(Buffer.concat(records));
    await this.#to.append(fragment);
    this.copiedBytes += fragment.length;
    this.#options.onCopied?.(this.copiedBytes);
  }
}

async function sortedOrdinals(session: DestinationSession): Promise<Float64Array> {
  let ordinals = new Float64Array(1024);
  let count = 0;
  for await (const { ordinal } of session.list()) {
    if (count === ordinals.length) {
      const grown = new Float64Array(count * 2);
      grown.set(ordinals);
      ordinals = grown;
    }
    ordinals[count++] = ordinal;
  }
  return ordinals.subarray(0, count).sort();
}

function includes(sorted: Float64Array, ordinal: Ordinal): boolean {
  let [low, high] = [0, sorted.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const value = sorted[middle]!;
    if (value === ordinal) return true;
    if (value < ordinal) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** Sends the header and the keyrings that a destination lacks. */
export async function sendKeyRecords(session: DestinationSession, keyRecords: readonly Uint8Array[]): Promise<void> {
  const present = session.keyringNumber;
  const isThere = new Set<number>();
  if (present === 0) for await (const { ordinal } of session.list(RecordKind.header)) isThere.add(ordinal);
  // The first is the header, the keyring of number n is the one at n.
  const lacking = keyRecords.filter((_, place) => (place === 0 ? present === 0 : place > present));
  for (const record of lacking) if (!isThere.has(parseRecordHeader(record).ordinal)) await session.append(record);
}
