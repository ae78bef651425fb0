/** Takes a keyring of an older epoch, behind which nothing counts. */
export const mutant = {
  file: 'packages/archive/src/log/record-checks.ts',
  find: "return isAbove ? undefined : 'the keyring is of an older epoch than the one before it';",
  replace: 'return undefined;',
  test: 'packages/archive/src/log/record-checks.test.ts',
};
