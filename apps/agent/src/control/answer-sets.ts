import { lstatSync } from 'node:fs';
import type { AgentParts } from '../agent.ts';
import { isBoundTo } from '../destinations/bindings.ts';
import { type BackupSet, type NumberedSet, parseBackupSet } from '../sets/backup-set.ts';
import { defaultExcludes } from '../sets/default-set.ts';
import { setErrors } from '../sets/errors.ts';

const mostSets = 100;

/** `set.list`. */
export function answerSetList({ database }: AgentParts): object {
  return { sets: database.sets() };
}

/** `set.add`: excludes and interval are the defaults' where they are left out. */
export async function answerSetAdd(parts: AgentParts, { set }: { set?: unknown }): Promise<object> {
  const defaults = { excludes: defaultExcludes, commitIntervalSeconds: 15 };
  const parsed = parseBackupSet(isObject(set) ? withoutNulls({ ...defaults, ...set }) : set, parts.never());
  checkDestinations(parts, parsed);
  const sets = parts.database.sets();
  if (sets.some(({ name }) => name === parsed.name)) throw setErrors.name_taken({ field: 'name', name: parsed.name });
  if (sets.length >= mostSets) throw setErrors.too_many({ most: mostSets });
  const added = await parts.protector.exclusive(async () => parts.database.addSet(parsed), { isWholeNeeded: true });
  return { set: added, missing: missingNow(added) };
}

/** `set.change`: the fields given replace those of the set; null takes one away. */
export async function answerSetChange(
  parts: AgentParts,
  { name, set }: { name: string; set?: unknown },
): Promise<object> {
  const { number, ...before } = findSet(parts, name);
  if (!isObject(set)) throw setErrors.invalid({ field: 'set', problem: 'it must be an object with fields' });
  const parsed = parseBackupSet(withoutNulls({ ...before, ...set }), parts.never());
  checkDestinations(parts, parsed);
  const isTaken = parts.database.sets().some((other) => other.name === parsed.name && other.number !== number);
  if (isTaken) throw setErrors.name_taken({ field: 'name', name: parsed.name });
  const changed = { ...parsed, number };
  await parts.protector.exclusive(async () => rebind(parts, { ...before, number }, changed), { isWholeNeeded: true });
  return { set: changed, missing: missingNow(changed) };
}

/** `set.remove`: what only it selected leaves the selection; its versions stay in the archive. */
export async function answerSetRemove(parts: AgentParts, { name }: { name: string }): Promise<object> {
  const { number } = findSet(parts, name);
  await parts.protector.exclusive(async () => parts.database.removeSet(number), { isWholeNeeded: true });
  return { removed: name };
}

/** What a set protects that is not there just now: it is protected once it is. */
function missingNow({ includes }: NumberedSet): readonly string[] {
  return includes.filter((include) => {
    try {
      return lstatSync(include, { throwIfNoEntry: false }) === undefined;
    } catch {
      // Something is there that this agent may not look at: the backup reports it.
      return false;
    }
  });
}

/** Stores a changed set: a destination that it gained lacks what it stored before, one that it lost needs no more of it. */
function rebind({ database, destinations }: AgentParts, before: NumberedSet, after: NumberedSet): void {
  const isIn = (set: NumberedSet) => destinations.configs.filter(({ name }) => isBoundTo(set, name));
  const [former, now] = [isIn(before), isIn(after)];
  database.changeSet(after);
  destinations.bind(
    after.number,
    now.filter((config) => !former.includes(config)),
  );
  for (const config of former) if (!now.includes(config)) database.closeGap(after.number, config.destinationId);
}

function checkDestinations({ destinations }: AgentParts, set: BackupSet): void {
  const known = destinations.configs.map(({ name }) => name);
  const unknown = set.destinations?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw setErrors.destination_unknown({ field: 'destinations', name: unknown });
}

function findSet({ database }: AgentParts, name: string): NumberedSet {
  const found = database.sets().find((set) => set.name === name);
  if (!found) throw setErrors.not_found({ field: 'name', name });
  return found;
}

function withoutNulls(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
