/**
 * Where data goes: from the sets that selected a file to the destinations that are to have its blocks.
 *
 * A block has no destinations of its own. The index says which sets need it, and the sets are bound to destinations; so a
 * set that gains or loses one changes nothing about what is stored.
 */
import type { BlockPlace } from '../index/block-table.ts';

/** What a backup set is bound to, by the names of destinations. A set without a binding is at every destination. */
export type SetBinding = {
  readonly set: number;
  /** Those that get what the set selects; every one where left out. */
  readonly sendsTo?: readonly string[];
  /** Those that have all that it selected until now, or will before anything is added there; every one where left out. */
  readonly heldBy?: readonly string[];
};

/** Everything that routes follow from. */
export type RoutePlan = {
  /** Names of the destinations of the archive, at most 30. */
  readonly destinations: readonly string[];
  /** Those that take records now. */
  readonly ready: readonly string[];
  readonly bindings: readonly SetBinding[];
};

/** Some destinations, as bits: bit i is the destination at place i of the plan. */
export type DestinationMask = number;

/** Most destinations of an archive. */
export const maxDestinations = 30;

type Masks = { readonly sendsTo: DestinationMask; readonly heldBy: DestinationMask };

/** The routes of one backup. */
export class Routes {
  /** Every destination of the archive. */
  readonly everywhere: DestinationMask;
  /** Those that take records now. */
  readonly ready: DestinationMask;
  /** Whether any set is bound to some destinations only. */
  readonly isBound: boolean;
  readonly #names: readonly string[];
  readonly #bindings: ReadonlyMap<number, Masks>;
  readonly #known = new WeakMap<readonly number[], Masks>();

  constructor({ destinations, ready, bindings }: RoutePlan) {
    this.#names = destinations;
    this.everywhere = 2 ** destinations.length - 1;
    this.ready = this.#maskOf(ready);
    this.isBound = bindings.length > 0;
    this.#bindings = new Map(
      bindings.map(({ set, sendsTo, heldBy }) => [
        set,
        { sendsTo: this.#maskOf(sendsTo), heldBy: this.#maskOf(heldBy) },
      ]),
    );
  }

  /** The destination of this name alone; 0 where there is none. */
  bitOf(name: string): DestinationMask {
    const place = this.#names.indexOf(name);
    return place < 0 ? 0 : 2 ** place;
  }

  /** The destinations that are to have what these sets select: those of any of them; all where no set selects it. */
  sendsTo(sets: readonly number[]): DestinationMask {
    return this.#masksOf(sets).sendsTo;
  }

  /** The destinations that have what was stored for these sets. */
  heldBy(sets: readonly number[]): DestinationMask {
    return this.#masksOf(sets).heldBy;
  }

  /** Whether something that these sets select can be stored now. */
  canStore(sets: readonly number[]): boolean {
    return (this.sendsTo(sets) & this.ready) !== 0;
  }

  #masksOf(sets: readonly number[]): Masks {
    let masks = this.#known.get(sets);
    if (!masks) this.#known.set(sets, (masks = this.#joined(sets)));
    return masks;
  }

  #joined(sets: readonly number[]): Masks {
    const all = { sendsTo: this.everywhere, heldBy: this.everywhere };
    if (sets.length === 0) return all;
    const each = sets.map((set) => this.#bindings.get(set) ?? all);
    const join = (kind: keyof Masks) => each.reduce((mask, masks) => mask | masks[kind], 0);
    return { sendsTo: join('sendsTo'), heldBy: join('heldBy') };
  }

  #maskOf(names: readonly string[] | undefined): DestinationMask {
    return names === undefined ? this.everywhere : names.reduce((mask, name) => mask | this.bitOf(name), 0);
  }
}

/**
 * The place to refer to for bytes that these sets select, among those where they lie; undefined where they are to be
 * stored again.
 *
 * One that every destination has which needs it comes first. Else a block that a destination has which is there can be
 * copied to the others as it is; a bundle cannot, since other sets' files are in it.
 */
export function choosePlace(
  places: readonly BlockPlace[],
  sets: readonly number[],
  routes: Routes,
): BlockPlace | undefined {
  const wanted = routes.sendsTo(sets);
  let copied: BlockPlace | undefined;
  for (const place of places) {
    const held = routes.heldBy(place.sets);
    if ((wanted & ~held) === 0) return place;
    if (!place.isBundle && (held & routes.ready) !== 0) copied ??= place;
  }
  return copied;
}
