/** Releases by a leaf that is shown to fewer than the rules ask for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (!isNoticeEnough(leaf.notice, rule.notice))',
  replace: 'if (leaf.notice === null)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
