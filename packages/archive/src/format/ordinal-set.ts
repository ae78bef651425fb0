import type { Ordinal } from './ordinal.ts';

const pageBits = 65_536;

/** A set of ordinals, of any number of records: a bit each, in pages of 65,536 that are made where there are any. */
export class OrdinalSet {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;

  /** How many ordinals are in it. */
  get size(): number {
    return this.#size;
  }

  has(ordinal: Ordinal): boolean {
    const bit = ordinal % pageBits;
    return (((this.#pages.get(Math.floor(ordinal / pageBits))?.[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
  }

  /** Adds an ordinal; false when it was in the set already. */
  add(ordinal: Ordinal): boolean {
    const number = Math.floor(ordinal / pageBits);
    let page = this.#pages.get(number);
    if (!page) this.#pages.set(number, (page = new Uint8Array(pageBits / 8)));
    const [byte, mask] = [(ordinal % pageBits) >> 3, 1 << (ordinal & 7)];
    if ((page[byte]! & mask) !== 0) return false;
    page[byte]! |= mask;
    this.#size++;
    return true;
  }

  /** The ordinals from `first` to `last`, as stretches that rise and do not touch. */
  *stretches(first: Ordinal, last: Ordinal): Generator<{ readonly first: Ordinal; readonly last: Ordinal }> {
    let start: Ordinal | undefined;
    const pages = [...this.#pages.keys()].toSorted((a, b) => a - b);
    let at = first;
    for (const number of pages) {
      const from = Math.max(first, number * pageBits);
      const to = Math.min(last, number * pageBits + pageBits - 1);
      if (from > to) continue;
      if (start !== undefined && from > at) {
        yield { first: start, last: at - 1 };
        start = undefined;
      }
      for (at = from; at <= to; at++) {
        const isIn = this.has(at);
        if (isIn) start ??= at;
        if (isIn || start === undefined) continue;
        yield { first: start, last: at - 1 };
        start = undefined;
      }
    }
    if (start !== undefined) yield { first: start, last: at - 1 };
  }
}
