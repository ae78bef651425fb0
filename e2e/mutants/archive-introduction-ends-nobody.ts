/** Prefers the longer line of a fork, also that of a writer who had introduced another. */
export const mutant = {
  file: 'packages/archive/src/tree/choose-keyring.ts',
  find: 'Number(outlived.get(provenOf(node)))',
  replace: '0',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
