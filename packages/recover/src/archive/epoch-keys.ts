import { deriveKey } from '../format/sealing.ts';
import type { Keyring } from '../format/keyring.ts';
import { type Epochs, KNOWN_SUITE, type Ring } from '../format/ring.ts';

/** The keys of each epoch, in the order in which a record tries them. */
export type EpochKeys = ReadonlyMap<number, readonly Buffer[]>;

/** Keys of one epoch that are tried (§14, "Opening"). */
const KEYS_TRIED = 16;

/**
 * The key of 32 bytes that opens records of an epoch (§3): `data` blocks and bundles, `metadata` all else.
 *
 * It follows from the epoch's key; of read keys it is one half.
 */
export function readingKey(epochKey: Buffer, archiveId: Buffer, part: 'data' | 'metadata'): Buffer {
  if (epochKey.length === 64) return part === 'data' ? epochKey.subarray(0, 32) : epochKey.subarray(32);
  return deriveKey(epochKey, archiveId, `holdfast v1 ${part}`);
}

/** The keys of a key file, one an epoch. */
export function keysOfFile(epochs: Epochs): EpochKeys {
  return new Map([...epochs].map(([number, key]) => [number, [key]]));
}

/**
 * The union of the keys in the rings that opened: of each epoch as many different ones as are tried.
 *
 * A writer makes one key for an epoch. But who writes rings that say what he likes must not replace it.
 */
export function uniteKeys(rings: ReadonlyMap<Keyring, Ring>, inOrder: readonly Keyring[]): EpochKeys {
  const united = new Map<number, Buffer[]>();
  for (const keyring of inOrder) {
    for (const { number, suite, key } of rings.get(keyring) ?? []) {
      if (suite !== KNOWN_SUITE) continue;
      const keys = united.get(number) ?? [];
      if (keys.length < KEYS_TRIED && !keys.some((one) => one.equals(key))) keys.push(key);
      united.set(number, keys);
    }
  }
  return united;
}
