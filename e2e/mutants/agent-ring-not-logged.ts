/** Takes a released ring whose leaf stands in no log. */
export const mutant = {
  file: 'apps/agent/src/releases/released-ring.ts',
  find: '    expectLogged(pinned, leafHash, shown);\n',
  replace: '',
  test: 'apps/agent/src/releases/released-ring.test.ts',
};
