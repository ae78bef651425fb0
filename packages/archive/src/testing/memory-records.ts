import { hash } from 'node:crypto';

import { assert } from '@holdfast/base';

import type { Reference } from '../format/extent.ts';
import { ordinalOf } from '../format/ordinal.ts';

/** Raw bytes of records kept in memory under ordinals of writer 0, for tests of trees and lists. */
export type MemoryRecords = {
  readonly store: (raw: Uint8Array) => Reference;
  readonly load: (reference: Reference) => Promise<Uint8Array>;
  /** Forgets a record; later loads of it fail. */
  readonly remove: (reference: Reference) => void;
  /** Ordinals that are kept. */
  readonly kept: ReadonlySet<number>;
  /** How many records were stored and loaded so far. */
  readonly stored: number;
  readonly loaded: number;
};

/** An empty set of records. */
export function createMemoryRecords(): MemoryRecords {
  const records = new Map<number, Uint8Array>();
  let [stored, loaded] = [0, 0];
  return {
    store(raw) {
      const ordinal = ordinalOf(0, 2 + stored++);
      records.set(ordinal, raw.slice());
      return { ordinal, sha256: hash('sha256', raw, 'buffer') };
    },
    load({ ordinal, sha256 }) {
      const raw = records.get(ordinal);
      assert(raw !== undefined, `record ${ordinal} is there`);
      assert(Buffer.compare(hash('sha256', raw, 'buffer'), sha256) === 0, `record ${ordinal} has its hash`);
      loaded += 1;
      return Promise.resolve(raw);
    },
    remove({ ordinal }) {
      assert(records.delete(ordinal), `record ${ordinal} is removed once`);
    },
    get kept() {
      return new Set(records.keys());
    },
    get stored() {
      return stored;
    },
    get loaded() {
      return loaded;
    },
  };
}
