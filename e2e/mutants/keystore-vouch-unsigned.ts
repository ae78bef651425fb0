/** Believes that an older key vouches, without its signature. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'if (!isNamed || !isBelow || !isSigned)',
  replace: 'if (!isNamed || !isBelow)',
  test: 'apps/cloud/src/keystore/key-register.test.ts',
};
