/** Works out whatever little a password slot asks for: whoever makes the slot makes the password easy to guess. */
export const mutant = {
  file: 'packages/trust/src/slot-parameters.ts',
  find: 'number < least || number > most',
  replace: 'number > most',
  test: 'packages/trust/src/password-slot.test.ts',
};
