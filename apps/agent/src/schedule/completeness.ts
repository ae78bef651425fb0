/** Since when each destination has all of a set. */
import { isBoundTo } from '../destinations/bindings.ts';
import type { Destinations } from '../destinations/destinations.ts';
import type { NumberedSet } from '../sets/backup-set.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import type { MissingPlace } from './protection-view.ts';
import type { PassPorts } from './run-pass.ts';

/** Writes down that all of these sets, but for those with a folder missing, is durable now at the destinations that are ready and have it. */
export function noteComplete(
  { destinations, database, clock }: PassPorts,
  numbers: readonly number[],
  missing: readonly MissingPlace[],
): void {
  const away = new Set(missing.map(({ path }) => Buffer.from(path).toString()));
  const isWhole = ({ includes }: NumberedSet) => !includes.some((include) => away.has(include));
  for (const set of database.sets().filter((each) => numbers.includes(each.number) && isWhole(each))) {
    const holding = readyConfigs(destinations).filter(
      (config) => isBoundTo(set, config.name) && !destinations.sets.hasGap(set.number, config),
    );
    for (const { destinationId } of holding) database.setComplete(set.number, destinationId, clock.now());
  }
}

/** The destinations that are open and at the device's head. */
export function readyConfigs(destinations: Destinations): readonly DestinationConfig[] {
  return destinations.configs.filter(({ destinationId }) => destinations.standingOf(destinationId).status === 'ready');
}
