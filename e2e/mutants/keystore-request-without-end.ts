/** Takes a request that counts for longer than its number is remembered. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (Date.parse(expiresAt) > nowMs + LONGEST_REQUEST_MS)',
  replace: 'if (Date.parse(expiresAt) < 0)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
