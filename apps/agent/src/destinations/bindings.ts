/**
 * Which destinations backup sets are bound to, and what of that is not true yet.
 *
 * A **gap** is a set and a destination it is bound to that does not have all of what the set stored before: it was bound
 * later, or was away while others that had it went away. New blocks go there all the same. The archive says that a set
 * is at a destination only where there is no gap.
 */
import { Routes, type RoutePlan, type SetBinding } from '@holdfast/archive';
import type { BoundSet } from '../sets/backup-set.ts';
import type { DestinationConfig, SetGap } from '../state/agent-database.ts';

/** Everything that bindings follow from. */
export type BindingFacts = {
  readonly sets: readonly BoundSet[];
  readonly destinations: readonly DestinationConfig[];
  readonly gaps: readonly SetGap[];
};

/** Where the archive's records go: sets that are everywhere, without a gap, have no binding of their own. */
export function routePlanOf(facts: BindingFacts): Omit<RoutePlan, 'ready'> {
  const bindings = facts.sets.flatMap((set) => bindingOf(set, facts) ?? []);
  return { destinations: facts.destinations.map(({ name }) => name), bindings };
}

/** The routes while these destinations take records. */
export function routesOf(facts: BindingFacts, ready: readonly string[]): Routes {
  return new Routes({ ...routePlanOf(facts), ready });
}

/** What the archive is to say of a set: the destinations that have all of it; undefined where every one has. */
export function recordedDestinations(set: BoundSet, facts: BindingFacts): readonly string[] | undefined {
  return bindingOf(set, facts)?.heldBy;
}

/** Whether a set is bound to a destination. */
export function isBoundTo({ destinations }: BoundSet, name: string): boolean {
  return destinations === undefined || destinations.includes(name);
}

function bindingOf(set: BoundSet, { destinations, gaps }: BindingFacts): SetBinding | undefined {
  const lacks = ({ destinationId }: DestinationConfig) =>
    gaps.some((gap) => gap.setNumber === set.number && gap.destinationId === destinationId);
  const bound = destinations.filter(({ name }) => isBoundTo(set, name));
  if (set.destinations === undefined && !bound.some(lacks)) return undefined;
  return {
    set: set.number,
    ...(set.destinations && { sendsTo: bound.map(({ name }) => name) }),
    heldBy: bound.filter((destination) => !lacks(destination)).map(({ name }) => name),
  };
}
