/** Lets the key of a computer bring in a person. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'if (!isNamed || !isBelow || !isSigned)',
  replace: 'if (!isNamed || !isSigned)',
  test: 'apps/cloud/src/keystore/key-register.test.ts',
};
