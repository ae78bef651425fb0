/** What of the archive each destination needs, and the gaps: what it needs and does not have. */
import { type LocalIndex, type Ordinal, type RoutePlan, rereadSets } from '@holdfast/archive';
import type { AgentDatabase, DestinationConfig, SetGap } from '../state/agent-database.ts';
import { type BindingFacts, routePlanOf, routesOf } from './bindings.ts';

/** The gaps of a device, on stable storage. */
export class GapBook {
  readonly #database: AgentDatabase;
  readonly #index: LocalIndex;

  constructor(database: AgentDatabase, index: LocalIndex) {
    this.#database = database;
    this.#index = index;
  }

  facts(): BindingFacts {
    const database = this.#database;
    return { destinations: database.destinations(), sets: database.boundSets(), gaps: database.gaps() };
  }

  routePlan(): Omit<RoutePlan, 'ready'> {
    return routePlanOf(this.facts());
  }

  at({ destinationId }: DestinationConfig): readonly SetGap[] {
    return this.#database.gaps().filter((gap) => gap.destinationId === destinationId);
  }

  /** The blocks and bundles that a destination is to have, by rising ordinal. */
  *dataFor({ name }: DestinationConfig): Generator<Ordinal> {
    const routes = routesOf(this.facts(), []);
    const bit = routes.bitOf(name);
    for (const { ordinal, sets } of this.#index.dataRecords()) {
      if ((routes.sendsTo(sets) & bit) !== 0) yield ordinal;
    }
  }

  /** The sets for which a destination is to have these records. */
  setsNeeding({ name }: DestinationConfig, ordinals: readonly Ordinal[]): readonly number[] {
    const routes = routesOf(this.facts(), []);
    const bit = routes.bitOf(name);
    const needing = new Set<number>();
    for (const ordinal of ordinals) {
      for (const set of this.#index.recordOwners(ordinal)?.sets ?? []) {
        if ((routes.sendsTo([set]) & bit) !== 0) needing.add(set);
      }
    }
    return [...needing].toSorted((a, b) => a - b);
  }

  /**
   * Takes down that a destination lacks blocks of these sets. Returns whether the archive says so already: then it may be
   * brought to the newest commit without them.
   */
  mark(sets: readonly number[], destination: DestinationConfig): boolean {
    const head = this.#index.head().number;
    const known = this.at(destination);
    const isSaid = (set: number) => known.some((gap) => gap.setNumber === set && gap.markedAtHead < head);
    for (const setNumber of sets) {
      if (known.some((gap) => gap.setNumber === setNumber)) continue;
      const { destinationId } = destination;
      this.#database.putGap({ setNumber, destinationId, markedAtHead: head, isReadAgain: false });
    }
    return sets.every(isSaid);
  }

  close({ setNumber, destinationId }: SetGap): void {
    this.#database.closeGap(setNumber, destinationId);
  }

  /** Has the files of the gaps read again, once a gap. Returns whether there is anything to read. */
  readAgain(gaps: readonly SetGap[]): boolean {
    const due = gaps.filter(({ isReadAgain }) => !isReadAgain);
    if (due.length === 0) return false;
    rereadSets(
      this.#index,
      due.map(({ setNumber }) => setNumber),
    );
    for (const gap of due) this.#database.putGap({ ...gap, isReadAgain: true });
    return true;
  }

  /** Records that no destination has: what they held is read again, as far as it is still there. */
  giveUp(ordinals: readonly Ordinal[], sets: readonly number[]): void {
    this.#index.forgetRecords(ordinals);
    rereadSets(this.#index, sets);
  }
}
