/** Works out whatever a forged password slot asks for. */
export const mutant = {
  file: 'packages/trust/src/slot-parameters.ts',
  find: 'number < least || number > most',
  replace: 'number < least',
  test: 'packages/trust/src/password-slot.test.ts',
};
