/** Which destinations have, or are to have, what each backup set stored. */
import type { LocalIndex, RoutePlan } from '@holdfast/archive';
import type { BoundSet } from '../sets/backup-set.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { recordedDestinations, routesOf } from './bindings.ts';
import type { GapBook } from './gap-book.ts';
import type { Slot } from './slot.ts';

/** Questions about sets and destinations as they are at this moment; changes nothing. */
export class SetRoutes {
  readonly #gaps: GapBook;
  readonly #index: LocalIndex;
  readonly #slots: () => readonly Slot[];

  constructor(gaps: GapBook, index: LocalIndex, slots: () => readonly Slot[]) {
    this.#gaps = gaps;
    this.#index = index;
    this.#slots = slots;
  }

  /** Where the records of sets go, by the names of sessions. */
  routePlan(): Omit<RoutePlan, 'ready'> {
    const { destinations, bindings } = this.#gaps.routePlan();
    const names = new Map(this.#slots().map(({ place, session }) => [place.config.name, session?.name]));
    const nameOf = (name: string) => names.get(name) ?? name;
    return {
      destinations: destinations.map(nameOf),
      bindings: bindings.map(({ set, sendsTo, heldBy }) => ({
        set,
        ...(sendsTo && { sendsTo: sendsTo.map(nameOf) }),
        ...(heldBy && { heldBy: heldBy.map(nameOf) }),
      })),
    };
  }

  /** Whether a set has a destination that takes records now. */
  canStore(setNumber: number): boolean {
    return routesOf(this.#gaps.facts(), this.#readyNames()).canStore([setNumber]);
  }

  /** What the archive is to say of a set: the destinations that have all of it; undefined where every one has. */
  recordedDestinations(set: BoundSet): readonly string[] | undefined {
    return recordedDestinations(set, this.#gaps.facts());
  }

  /** Whether a destination lacks blocks of a set that is bound to it. */
  hasGap(setNumber: number, config: DestinationConfig): boolean {
    return this.#gaps.at(config).some((gap) => gap.setNumber === setNumber);
  }

  /** Whether a destination has to have what these sets stored. */
  neededAt(name: string): (sets: readonly number[]) => boolean {
    const routes = routesOf(this.#gaps.facts(), []);
    const bit = routes.bitOf(name);
    return (sets) => (routes.heldBy(sets) & bit) !== 0;
  }

  /** Whether something of the archive would be at no destination that is there, were this one gone. */
  isOnlyHolder({ name }: DestinationConfig): boolean {
    const routes = routesOf(this.#gaps.facts(), this.#readyNames());
    const bit = routes.bitOf(name);
    const isOnly = (held: number) => (held & bit) !== 0 && (held & ~bit & routes.ready) === 0;
    return this.#index.setLists().some((list) => isOnly(routes.heldBy(list)));
  }

  /** The names of the destinations that are ready, as they were added. */
  #readyNames(): readonly string[] {
    return this.#slots().flatMap(({ place, standing }) => (standing.status === 'ready' ? [place.config.name] : []));
  }
}
