/** Opens a slot that no leaf announces. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-try.ts',
  find: 'if (!isSaid)',
  replace: "if (!isSaid && leaf.at === '')",
  test: 'apps/cloud/src/keystore/judge-try.test.ts',
};
