import { z } from 'zod';
import type { AgentParts } from '../agent.ts';
import { cloudErrors } from '../cloud/errors.ts';
import type { DemandedWitness, KeyWitnesses } from '../keylog/key-witnesses.ts';

/** What `key.witness-add` is given. */
export const WitnessAdd = z.strictObject({ key: z.string().min(1).max(1_024) });
/** What `key.witness-remove` is given. */
export const WitnessRemove = z.strictObject({ name: z.string().min(1).max(1_024) });

/** `key.witness-add`: heads of the key log without its cosignature are said from now on. */
export function answerWitnessAdd(parts: AgentParts, { key }: z.infer<typeof WitnessAdd>): object {
  return shownWitness(expectEnrolled(parts).add(key, parts.clock.now()));
}

/** `key.witness-list`: each with the newest head that it cosigned. */
export function answerWitnessList(parts: AgentParts): object {
  return { witnesses: expectEnrolled(parts).list().map(shownWitness) };
}

/** `key.witness-remove`. */
export function answerWitnessRemove(parts: AgentParts, { name }: z.infer<typeof WitnessRemove>): object {
  expectEnrolled(parts).remove(name);
  return { removed: name };
}

function shownWitness({ name, key, demandedAtMs, cosigned }: DemandedWitness): object {
  const instantOf = (atMs: number) => new Date(atMs).toISOString();
  const seen = cosigned && { treeSize: cosigned.treeSize, at: instantOf(cosigned.cosignedAtMs), note: cosigned.note };
  return { name, key, demandedAt: instantOf(demandedAtMs), ...(seen && { cosigned: seen }) };
}

function expectEnrolled({ keyWitnesses }: AgentParts): KeyWitnesses {
  if (!keyWitnesses) throw cloudErrors.not_enrolled();
  return keyWitnesses;
}
