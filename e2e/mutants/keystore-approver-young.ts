/** Counts the approval of somebody who may approve since just now. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-approvals.ts',
  find: 'return fromMs !== undefined && nowMs >= fromMs;',
  replace: 'return fromMs !== undefined && nowMs > 0;',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
