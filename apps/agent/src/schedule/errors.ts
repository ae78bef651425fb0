import { defineErrors } from '@holdfast/base';

/** Why nothing is protected just now. */
export const protectionErrors = defineErrors('protection', {
  no_destination: ['unavailable', 'No destination can be reached; changes wait on this computer'],
  stopping: ['unavailable', 'The agent is stopping'],
  fault: ['unavailable', 'A fault of Holdfast itself stopped the backup; it is tried again'],
});
