/** Overwrites the key of a ring five seconds after its release. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: '    ringKey.fill(0);',
  replace: '    setTimeout(() => ringKey.fill(0), 5_000);',
  test: 'e2e/keystore-memory.e2e.ts',
};
