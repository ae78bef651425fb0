/** The recipient takes a release whose leaf is that of another request. */
export const mutant = {
  file: 'packages/trust/src/release.ts',
  find: "if (leaf.kind !== 'release' || leaf.request.text !== requestText)",
  replace: "if (leaf.kind !== 'release' || requestText === '')",
  test: 'packages/trust/src/release.test.ts',
};
