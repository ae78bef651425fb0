/** Takes in rules that nobody can fulfil or undo. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-rules.ts',
  find: 'if (most > approvers)',
  replace: 'if (most > 16)',
  test: 'apps/cloud/src/keystore/judge-rules.test.ts',
};
