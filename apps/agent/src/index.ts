/**
 * The agent: protects the files of this computer. `startAgent` runs it; `askAgent` speaks to one that runs.
 *
 * Owns its state folder (keys, index, sets), the control socket and nothing else on the machine.
 */
export { type AgentOptions, type RunningAgent, startAgent } from './agent.ts';
export { parseTimeSpan } from './browse/parse-time.ts';
export { pathToText, textToPath } from './browse/path-text.ts';
export { askAgent, type Hearing } from './control/client.ts';
export { controlErrors } from './control/errors.ts';
export { type AgentLog, createLog, lineWriter, silentLog } from './log.ts';
export type { DestinationPlace, DestinationSession, MakePlace, OpenFacts } from './destinations/destination-place.ts';
export { destinationErrors } from './destinations/errors.ts';
export { LookThere, type PlannedEntry, type Presence, type ShownPiece } from './user-restore/look-there.ts';
