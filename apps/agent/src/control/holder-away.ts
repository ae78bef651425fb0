import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import type { Caller } from '../browse/caller.ts';
import { destinationErrors } from '../destinations/errors.ts';
import type { DestinationConfig } from '../state/agent-database.ts';

/** What is wrong with one entry, or with a request. */
type Failure = { readonly code: string; readonly message: string };

const missing: readonly string[] = ['archive.record_missing', 'restore.record_missing'];

/** Where an archive lies on this computer is for administrators; the address of the cloud is for everybody. */
export function shownNameOf({ name, kind }: DestinationConfig, place: number, { isPrivileged }: Caller): string {
  return isPrivileged || kind === 'cloud' ? name : `${kind} ${place + 1}`;
}

/** The names of the destinations that could have what is not found, and are not to be had. */
function absentNames({ destinations }: AgentParts, caller: Caller): readonly string[] {
  return destinations.configs.flatMap((config, place) =>
    destinations.standingOf(config.destinationId).status === 'ready' ? [] : [shownNameOf(config, place, caller)],
  );
}

/** A record that no destination had, said as what it is while a destination is not to be had: nobody knows yet. */
export function explainMissing<F extends Failure>(parts: AgentParts, caller: Caller, failure: F): F {
  const names = missing.includes(failure.code) ? absentNames(parts, caller) : [];
  if (names.length === 0) return failure;
  const { code, message } = destinationErrors.holder_away();
  return { ...failure, code, message: `${message}: ${names.join(', ')}` };
}

/** The same of the error of a whole request, with what to do. */
export function explainMissingError(parts: AgentParts, caller: Caller, error: unknown): unknown {
  if (!(error instanceof CodedError) || !missing.includes(error.code)) return error;
  const names = absentNames(parts, caller);
  return names.length === 0 ? error : destinationErrors.holder_away({ destinations: names }, error);
}
