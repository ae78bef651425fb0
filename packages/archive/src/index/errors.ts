import { defineErrors } from '@holdfast/base';

/** Failures of the files in which the agent keeps what it knows. */
export const indexErrors = defineErrors('state', {
  disk_full: ['exhausted', "The disk of the agent's state is full"],
});
