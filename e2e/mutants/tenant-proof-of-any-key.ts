/** Accepts a proof by another key than the token is bound to. */
export const mutant = {
  file: 'apps/cloud/src/modules/tokens/dpop.ts',
  find: 'thumbprint === expected.keyThumbprint &&',
  replace: 'thumbprint.length === expected.keyThumbprint.length &&',
  test: 'apps/cloud/src/modules/tokens/tokens.db.test.ts',
};
