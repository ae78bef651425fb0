/** Takes a ring that was released for another computer, where somebody sealed it to this one. */
export const mutant = {
  file: 'apps/agent/src/releases/released-ring.ts',
  find: "scope !== 'ring' || !isOurs ||",
  replace: "scope !== 'ring' ||",
  test: 'apps/agent/src/releases/released-ring.test.ts',
};
