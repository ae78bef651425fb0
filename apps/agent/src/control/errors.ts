import { defineErrors } from '@holdfast/base';

/** Failures of the control socket. */
export const controlErrors = defineErrors('control', {
  invalid: ['invalid', 'The request is not understood'],
  not_allowed: ['forbidden', 'Only the administrator of this computer may do this'],
  busy: ['exhausted', 'The agent answers as many requests as it can just now'],
  not_running: ['unavailable', 'No agent is running here'],
  no_permission: ['forbidden', 'You may not speak to this agent'],
  cannot_listen: ['unavailable', 'The control socket cannot be made there'],
  lost: ['unavailable', 'The agent ended before it answered'],
  fault: ['unavailable', 'A fault of the agent itself; its log says more'],
});
