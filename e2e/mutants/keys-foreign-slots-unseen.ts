/** Goes on behind a keyring of a stolen key without the slots that the computer carries. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: ' || !hasOurSlots(taken, slots)',
  replace: '',
  test: 'apps/agent/src/keys/foreign-slots.test.ts',
};
