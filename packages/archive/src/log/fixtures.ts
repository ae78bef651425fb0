import { encodeKeyring } from '../format/keyring.ts';
import { encodeRecord, RecordKind } from '../format/record.ts';
import type { Ordinal } from '../format/ordinal.ts';

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seededChance(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that depend on `seed` alone. */
export function seededBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const chance = seededChance(seed);
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, () => chance() * 2 ** 32);
  return new Uint8Array(words.buffer, 0, length);
}

/** A valid record whose sealed part is bytes made from its ordinal; not one that opens. */
export function storedRecord(
  ordinal: Ordinal,
  sealedBytes: number,
  kind: number = RecordKind.block,
): Uint8Array<ArrayBuffer> {
  const isSigned = ([RecordKind.commit, RecordKind.keyring] as number[]).includes(kind);
  return encodeRecord({
    kind,
    epoch: 0,
    ordinal,
    nonce: seededBytes(ordinal, 24),
    sealed: seededBytes(ordinal + 1, Math.max(57, sealedBytes)),
    ...(isSigned ? { signature: seededBytes(ordinal + 2, 64) } : {}),
  });
}

/** A keyring record of that number, with one writer; its signature and ring are not real ones. */
export function keyringRecord(number: number, ordinal: Ordinal): Uint8Array<ArrayBuffer> {
  const writer = { number: 0, publicKey: seededBytes(number, 32), firstCommit: 1, origin: 'first' } as const;
  return encodeRecord({
    kind: RecordKind.keyring,
    epoch: 0,
    ordinal,
    nonce: seededBytes(ordinal, 24),
    open: encodeKeyring({ number, previous: seededBytes(number + 1, 32), slots: [], writers: [writer] }),
    sealed: seededBytes(ordinal + 1, 700),
    signature: seededBytes(ordinal + 2, 64),
  });
}
