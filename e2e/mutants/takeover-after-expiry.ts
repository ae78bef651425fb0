/** Takes a proof that has expired. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/take-over.ts',
  find: 'if (expiresAtMs <= now.getTime())',
  replace: 'if (expiresAtMs <= 0)',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
