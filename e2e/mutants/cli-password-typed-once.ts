/** Takes a new password whatever is typed the second time. */
export const mutant = {
  file: 'apps/cli/src/read-secret.ts',
  find: '!== first)',
  replace: '=== undefined)',
  test: 'apps/cli/src/read-secret.test.ts',
};
