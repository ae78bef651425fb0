/** Takes records that are sealed with a key of no keyring here. */
export const mutant = {
  file: 'packages/archive/src/log/record-checks.ts',
  find: 'return epochFact(state, subject) ?? check(state, subject);',
  replace: 'return check(state, subject);',
  test: 'packages/archive/src/log/record-checks.test.ts',
};
