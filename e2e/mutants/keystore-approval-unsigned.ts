/** Counts an approval that somebody else signed. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-approvals.ts',
  find: 'return openReleaseApproval(signed);',
  replace: 'return JSON.parse(signed.text) as ReleaseApproval;',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
