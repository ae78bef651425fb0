/** Lets a terminal show the password that is typed. */
export const mutant = {
  file: 'apps/cli/src/read-secret.ts',
  find: 'input.setRawMode?.(true);',
  replace: '',
  test: 'apps/cli/src/read-secret.test.ts',
};
