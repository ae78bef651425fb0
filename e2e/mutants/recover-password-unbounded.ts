/** The small reader works out whatever a password slot asks for. */
export const mutant = {
  file: 'packages/recover/src/format/password-slot.ts',
  find: 'number >= least && number <= most',
  replace: 'number >= 0',
  test: 'packages/recover/src/slots.system.test.ts',
};
