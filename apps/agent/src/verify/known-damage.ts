/** What verifying found at destinations and could not mend: remembered until another look finds it whole. */
import type { LocalIndex, Ordinal } from '@holdfast/archive';
import type { AgentDatabase } from '../state/agent-database.ts';
import { type Damage, listedDamage, type Verified } from './verify-destination.ts';

/** What is damaged at a destination, as it was last found. */
export type KnownDamage = {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly count: number;
  /** At most a hundred. */
  readonly records: readonly Damage[];
  /** The backup sets that need some of it; every one where left out. */
  readonly sets?: readonly number[];
  /** Ordinals of those that are there and are not what was stored: only a full look sees them. */
  readonly altered: readonly Ordinal[];
};

/** The backup sets that need any of these records; undefined where it is not known. */
export function setsNeeding(index: LocalIndex, verified: Verified): readonly number[] | undefined {
  const { report, missing, altered, structure } = verified;
  const data = new Set([...missing, ...altered]);
  if (structure.size > 0 || data.size < report.damagedCount) return undefined;
  const sets = new Set<number>();
  for (const ordinal of data) {
    const owners = index.recordOwners(ordinal);
    if (!owners || owners.sets.includes(0)) return undefined;
    for (const set of owners.sets) sets.add(set);
  }
  return [...sets].toSorted((a, b) => a - b);
}

/**
 * Writes down what is damaged at a destination now, or that nothing is. A look that was not a full one says nothing of
 * records that are there and are not what was stored.
 */
export function noteDamage(database: AgentDatabase, destinationId: number, found: KnownDamage, isFull: boolean): void {
  const before = isFull ? undefined : database.damage(destinationId);
  const now = before ? withUnseen(found, before) : found;
  database.setDamage(destinationId, now.count === 0 ? undefined : now);
}

/** What was found, with what was found before and could not be seen this time. */
function withUnseen(found: KnownDamage, before: KnownDamage): KnownDamage {
  const unseen = before.altered.filter((ordinal) => !found.altered.includes(ordinal));
  if (unseen.length === 0) return found;
  const { sets: _sets, ...rest } = found;
  const kept = before.records.filter(({ ordinal }) => ordinal !== undefined && unseen.includes(ordinal));
  const isOfSome = before.sets && (found.sets || found.count === 0);
  return {
    ...rest,
    count: found.count + unseen.length,
    records: [...found.records, ...kept].slice(0, listedDamage),
    altered: [...found.altered, ...unseen].slice(0, listedDamage),
    ...(isOfSome && { sets: [...new Set([...(found.sets ?? []), ...before.sets])] }),
  };
}
