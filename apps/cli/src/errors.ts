import { defineErrors } from '@holdfast/base';

/** Failures of the command line itself. */
export const commandErrors = defineErrors('command', {
  invalid: ['invalid', 'The command is not understood'],
});

/** Failures of finding the state folder. */
export const homeErrors = defineErrors('home', {
  not_found: ['not_found', 'No Holdfast is set up here'],
});
