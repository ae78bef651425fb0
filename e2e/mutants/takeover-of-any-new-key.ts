/** Takes a proof that was made for another computer. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/take-over.ts',
  find: 'if (!isHere || claim.newDeviceKey !== own?.public_jwk.x)',
  replace: 'if (!isHere)',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
