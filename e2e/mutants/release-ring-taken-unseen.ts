/** Carries on a ring whose leaf the log does not have. */
export const mutant = {
  file: 'apps/agent/src/releases/release-client.ts',
  find: '    expectLogged(this.#options.identity, outlineHash(writeKeyLogLeaf(leaf).outline), { ...shown, head });\n',
  replace: '    void [expectLogged, outlineHash, writeKeyLogLeaf];\n',
  test: 'apps/agent/src/releases/released-ring.test.ts',
};
