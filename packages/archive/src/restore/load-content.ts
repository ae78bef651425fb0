/** What planning reads of contents itself, from whichever destination has it. */
import type { ReadableDestination } from '../backup/destination.ts';
import { archiveErrors, corrupt } from '../errors.ts';
import { equalBytes } from '../format/cursor.ts';
import { hash } from 'node:crypto';
import { type OpenKeys, openRecordSync } from '../format/seal.node.ts';
import type { ContentLoader } from './archive-reader.ts';

const keptRecords = 16;

/** A loader that asks destinations in turn and keeps the last few records opened: attributes lie side by side in bundles. */
export function createContentLoader(destinations: readonly ReadableDestination[], keys: OpenKeys): ContentLoader {
  const kept = new Map<number, Uint8Array>();
  const load = async (ordinal: number, isRight: (raw: Uint8Array) => boolean): Promise<Uint8Array> => {
    const known = kept.get(ordinal);
    if (known && isRight(known)) return known;
    const raw = await readRecord(destinations, keys, { ordinal, isRight });
    kept.set(ordinal, raw);
    const [oldest] = kept.keys();
    if (kept.size > keptRecords && oldest !== undefined) kept.delete(oldest);
    return raw;
  };
  return {
    list: ({ ordinal, sha256 }) => load(ordinal, (raw) => equalBytes(hash('sha256', raw, 'buffer'), sha256)),
    async piece({ ordinal, offset, length, sha256 }) {
      const cut = (raw: Uint8Array) => raw.subarray(offset, offset + length);
      return cut(await load(ordinal, (raw) => equalBytes(hash('sha256', cut(raw), 'buffer'), sha256)));
    },
  };
}

type Wanted = { readonly ordinal: number; readonly isRight: (raw: Uint8Array) => boolean };

/** @throws archive.record_missing, or what was wrong with the record */
async function readRecord(
  destinations: readonly ReadableDestination[],
  keys: OpenKeys,
  wanted: Wanted,
): Promise<Uint8Array> {
  let failure: unknown = archiveErrors.record_missing({ ordinal: wanted.ordinal });
  for (const destination of destinations) {
    try {
      const raw = await readFrom(destination, keys, wanted);
      if (raw) return raw;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function readFrom(destination: ReadableDestination, keys: OpenKeys, { ordinal, isRight }: Wanted) {
  let isOther = false;
  for await (const record of destination.read([ordinal])) {
    const { raw } = openRecordSync(record, keys);
    if (isRight(raw)) return raw;
    isOther = true;
  }
  if (isOther) throw corrupt('record: it is another than the reference names');
  return undefined;
}
