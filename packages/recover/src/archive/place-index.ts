import { randomBytes } from 'node:crypto';
import type { Ordinal } from '../format/bytes.ts';
import type { RecordPlace } from '../format/segment.ts';
import { RecoverError } from '../errors.ts';

/** A record's place with the segment it is in, `segment` being an index into the shelf's list. */
export type IndexedPlace = RecordPlace & { readonly segment: number };

const NONE = 0xffffffff;
const PLACES_LIMIT = 2 ** 28;

type Columns = {
  readonly sequence: Uint32Array;
  readonly writer: Uint16Array;
  readonly kind: Uint8Array;
  readonly segment: Uint32Array;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly crc: Uint32Array;
  /** The next place of the same ordinal, or NONE. */
  readonly next: Uint32Array;
};

/**
 * Where every record lies: ordinal → places, in about 45 bytes a place.
 *
 * A hash table with open addressing over columns of typed arrays. Its seed is random, so ordinals cannot be chosen to
 * collide. Places of one ordinal come out in the order they were added.
 */
export class PlaceIndex {
  #columns: Columns = makeColumns(1024);
  #table: Uint32Array = new Uint32Array(2048).fill(NONE);
  #ordinals = 0;
  readonly #seed: readonly [number, number];
  #size = 0;

  constructor() {
    const seed = randomBytes(8);
    this.#seed = [seed.readUInt32LE(0), seed.readUInt32LE(4)];
  }

  /** Number of places. */
  get size(): number {
    return this.#size;
  }

  /** Number of different ordinals. */
  get ordinals(): number {
    return this.#ordinals;
  }

  add(place: IndexedPlace): void {
    if (this.#size >= PLACES_LIMIT) throw new RecoverError('archive.too_large', { places: this.#size });
    if (this.#size === this.#columns.sequence.length) this.#grow();
    const entry = this.#size;
    this.#size += 1;
    const columns = this.#columns;
    columns.sequence[entry] = place.ordinal % 2 ** 32;
    columns.writer[entry] = Math.floor(place.ordinal / 2 ** 32);
    columns.kind[entry] = place.kind;
    columns.segment[entry] = place.segment;
    columns.offset[entry] = place.offset;
    columns.length[entry] = place.length;
    columns.crc[entry] = place.crc;
    columns.next[entry] = NONE;
    this.#link(entry, place.ordinal);
  }

  /** Whether there is any place for an ordinal. */
  has(ordinal: Ordinal): boolean {
    return this.#table[this.#slotOf(ordinal)] !== NONE;
  }

  /** The places of an ordinal, in the order they were added. */
  *placesOf(ordinal: Ordinal): Generator<IndexedPlace> {
    let entry = this.#table[this.#slotOf(ordinal)]!;
    while (entry !== NONE) {
      yield this.#at(entry);
      entry = this.#columns.next[entry]!;
    }
  }

  /** Every place of the kinds that are asked for, in the order they were added. */
  *ofKinds(wanted: readonly number[]): Generator<IndexedPlace> {
    for (let entry = 0; entry < this.#size; entry += 1) {
      if (wanted.includes(this.#columns.kind[entry]!)) yield this.#at(entry);
    }
  }

  /** Every place of a kind, in the reverse of the order they were added. */
  *ofKindBackwards(kind: number): Generator<IndexedPlace> {
    for (let entry = this.#size - 1; entry >= 0; entry -= 1) {
      if (this.#columns.kind[entry] === kind) yield this.#at(entry);
    }
  }

  /** Greatest sequence seen of each writer. */
  highest(): ReadonlyMap<number, number> {
    const highest = new Map<number, number>();
    for (let entry = 0; entry < this.#size; entry += 1) {
      const writer = this.#columns.writer[entry]!;
      const sequence = this.#columns.sequence[entry]!;
      if (sequence > (highest.get(writer) ?? -1)) highest.set(writer, sequence);
    }
    return highest;
  }

  #at(entry: number): IndexedPlace {
    const columns = this.#columns;
    return {
      ordinal: this.#ordinalOf(entry),
      kind: columns.kind[entry]!,
      segment: columns.segment[entry]!,
      offset: columns.offset[entry]!,
      length: columns.length[entry]!,
      crc: columns.crc[entry]!,
    };
  }

  #ordinalOf(entry: number): Ordinal {
    return this.#columns.writer[entry]! * 2 ** 32 + this.#columns.sequence[entry]!;
  }

  /** Where the first place of an ordinal stands in the table, or the free slot where it would. */
  #slotOf(ordinal: Ordinal): number {
    const mask = this.#table.length - 1;
    let slot = mix((ordinal % 2 ** 32) ^ this.#seed[0], Math.floor(ordinal / 2 ** 32) ^ this.#seed[1]) & mask;
    for (;;) {
      const entry = this.#table[slot]!;
      if (entry === NONE || this.#ordinalOf(entry) === ordinal) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #link(entry: number, ordinal: Ordinal): void {
    const slot = this.#slotOf(ordinal);
    const first = this.#table[slot]!;
    if (first === NONE) {
      this.#table[slot] = entry;
      this.#ordinals += 1;
      return;
    }
    // The second place goes behind the first: lookups begin with the oldest, and long rows of copies cost nothing here.
    this.#columns.next[entry] = this.#columns.next[first]!;
    this.#columns.next[first] = entry;
  }

  #grow(): void {
    const larger = makeColumns(this.#columns.sequence.length * 2);
    for (const name of Object.keys(larger) as (keyof Columns)[]) larger[name].set(this.#columns[name]);
    this.#columns = larger;
    const before = this.#table;
    this.#table = new Uint32Array(before.length * 2).fill(NONE);
    for (const entry of before) if (entry !== NONE) this.#table[this.#slotOf(this.#ordinalOf(entry))] = entry;
  }
}

function makeColumns(capacity: number): Columns {
  return {
    sequence: new Uint32Array(capacity),
    writer: new Uint16Array(capacity),
    kind: new Uint8Array(capacity),
    segment: new Uint32Array(capacity),
    offset: new Uint32Array(capacity),
    length: new Uint32Array(capacity),
    crc: new Uint32Array(capacity),
    next: new Uint32Array(capacity),
  };
}

/** Finalizer of MurmurHash3 over two words. */
function mix(low: number, high: number): number {
  let word = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
