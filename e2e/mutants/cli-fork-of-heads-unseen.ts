/** Compares only whether heads are of one name. */
export const mutant = {
  file: 'packages/trust/src/log-heads.ts',
  find: "return { verdict: 'forked', atLeaf };",
  replace: "return { verdict: 'one_log' };",
  test: 'apps/cli/src/commands/check-heads.test.ts',
};
