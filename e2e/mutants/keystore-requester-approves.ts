/** Counts the approval of who asked. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-approvals.ts',
  find: 'if (key && requester && isSameHolder(key.holder, requester))',
  replace: "if (key && requester && isSameHolder(key.holder, { kind: 'device', uid: requester.uid }))",
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
