/** Logs a release that lacks approvals. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/grant-release.ts',
  find: 'if (approvals.length < rule.approvals) return undefined;',
  replace: 'if (approvals.length < 0) return undefined;',
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
