/** Counts the approval of something else. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-approvals.ts',
  find: 'if (requestSha256 !== documentSha256)',
  replace: "if (requestSha256 === '')",
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
