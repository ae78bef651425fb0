import type { CosignedKeyLogHead } from '@holdfast/contract';
import type { AgentParts } from '../agent.ts';
import { remedyOf } from '../control/remedies.ts';

/** Takes in the heads of the key log that the server shows as cosigned; what is wrong with one for the first time is said. */
export function hearCosigned(
  { keyWitnesses, clock, log }: Pick<AgentParts, 'keyWitnesses' | 'clock' | 'log'>,
  heads: readonly CosignedKeyLogHead[],
): void {
  for (const error of keyWitnesses?.hear(heads, clock.now()) ?? [])
    log.error(`the head that shows it is kept; ${remedyOf(error)}`, error);
}
