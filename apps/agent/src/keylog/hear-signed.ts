import type { AgentParts } from '../agent.ts';
import { remedyOf } from '../control/remedies.ts';
import type { SignedByOthers } from './follow-key-log.ts';

/** Takes in the heads of the key log that others than the log signed; what is wrong with one for the first time is said. */
export function hearSigned(
  { keyWitnesses, keystoreFollowing, clock, log }: HearingParts,
  { cosigned, followed }: SignedByOthers,
): void {
  const nowMs = clock.now();
  const faults = [...(keyWitnesses?.hear(cosigned, nowMs) ?? []), ...(keystoreFollowing?.hear(followed, nowMs) ?? [])];
  for (const error of faults) log.error(`the head that shows it is kept; ${remedyOf(error)}`, error);
}

type HearingParts = Pick<AgentParts, 'keyWitnesses' | 'keystoreFollowing' | 'clock' | 'log'>;
