/** Believes leaves that the head is not signed for. */
export const mutant = {
  file: 'apps/agent/src/keylog/read-leaves.ts',
  find: 'if (Buffer.compare(rootOf(tree), to.root) !== 0)',
  replace: 'if (to.root.length === 0)',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
