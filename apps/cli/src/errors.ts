import { defineErrors } from '@holdfast/base';

/** Failures of the command line itself. */
export const commandErrors = defineErrors('command', {
  invalid: ['invalid', 'The command is not understood'],
});

/** Failures of finding the state folder. */
export const homeErrors = defineErrors('home', {
  not_found: ['not_found', 'No Holdfast is set up here'],
  not_made: ['invalid', 'The folder for the state of Holdfast cannot be made or used'],
  foreign: ['forbidden', 'The folder belongs to another user, who could change what is in it'],
});
