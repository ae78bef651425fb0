import type { Ordinal } from '@holdfast/archive';

/** Many ordinals, eight bytes each, of which some are marked. Added first, in any order; asked afterwards. */
export class OrdinalTable {
  #ordinals = new Float64Array(1024);
  #count = 0;
  #isSorted = true;
  #marks: Uint8Array | undefined;

  add(ordinal: Ordinal): void {
    if (this.#count === this.#ordinals.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#ordinals);
      this.#ordinals = grown;
    }
    if (this.#count > 0 && this.#ordinals[this.#count - 1]! > ordinal) this.#isSorted = false;
    this.#ordinals[this.#count++] = ordinal;
  }

  has(ordinal: Ordinal): boolean {
    return this.#find(ordinal) >= 0;
  }

  /** Whether it is there and was not marked. */
  isUnmarked(ordinal: Ordinal): boolean {
    const place = this.#find(ordinal);
    return place >= 0 && this.#marks?.[place] !== 1;
  }

  /** Marks an ordinal; none that is not there. */
  mark(ordinal: Ordinal): void {
    const place = this.#find(ordinal);
    if (place < 0) return;
    this.#marks ??= new Uint8Array(this.#count);
    this.#marks[place] = 1;
  }

  /** The first few that are greater, rising. */
  after(ordinal: Ordinal, count: number): readonly Ordinal[] {
    this.#sort();
    const first = this.#placeOf(ordinal + 1);
    return [...this.#ordinals.subarray(first, Math.min(first + count, this.#count))];
  }

  /** Those that were not marked, rising. */
  unmarked(): readonly Ordinal[] {
    this.#sort();
    const left: Ordinal[] = [];
    for (let place = 0; place < this.#count; place++) {
      if (this.#marks?.[place] !== 1) left.push(this.#ordinals[place]!);
    }
    return left;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#ordinals.subarray(0, this.#count).sort();
    this.#isSorted = true;
  }

  #find(ordinal: Ordinal): number {
    this.#sort();
    const place = this.#placeOf(ordinal);
    return place < this.#count && this.#ordinals[place] === ordinal ? place : -1;
  }

  /** Where the first one lies that is not less. */
  #placeOf(ordinal: Ordinal): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ordinals[middle]! < ordinal) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
