/** Releases with fewer approvals than the rules ask for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (approvals < rule.approvals)',
  replace: 'if (approvals < 0)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
