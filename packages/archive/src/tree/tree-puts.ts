import { assert } from '@holdfast/base';

import { compareBytes } from '../format/cursor.ts';

/** A change of one key of the map: its new value, or none to remove it. */
export type TreePut = { readonly key: Uint8Array; readonly value: Uint8Array | undefined };

/** Puts one by one, with a look at the next. Stops when they do not rise. */
export class PutReader {
  readonly #next: () => IteratorResult<TreePut> | Promise<IteratorResult<TreePut>>;
  #current: TreePut | undefined;

  constructor(puts: Iterable<TreePut> | AsyncIterable<TreePut>) {
    const iterator = Symbol.asyncIterator in puts ? puts[Symbol.asyncIterator]() : puts[Symbol.iterator]();
    this.#next = () => iterator.next();
  }

  /** The put that is next; undefined behind the last. */
  get current(): TreePut | undefined {
    return this.#current;
  }

  /** Goes on to the next one. */
  async advance(): Promise<void> {
    const before = this.#current;
    const step = await this.#next();
    this.#current = step.done === true ? undefined : step.value;
    const rises = !before || !this.#current || compareBytes(before.key, this.#current.key) < 0;
    assert(rises, 'puts come by rising key');
  }
}
