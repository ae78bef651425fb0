/** Gives up commits of a branch that came after it was shown. */
export const mutant = {
  file: 'apps/agent/src/control/answer-branches.ts',
  find: 'if (undecided(parts, branch).head.sha256 !== head.sha256) throw branchErrors.went_on({ branch });',
  replace: 'if (undecided(parts, branch).head.sha256 === "") throw branchErrors.went_on({ branch, head });',
  test: 'apps/agent/src/branches/branches.system.test.ts',
};
